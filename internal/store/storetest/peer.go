package storetest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

// holderEnv makes a victim a daemon that takes a job and does not finish it until
// it is told to.
const holderEnv = "DRAYAGE_TEST_HOLDER"

// holder says when it has begun a job, and when the job is over for it; in
// between it waits for a line.
func holder(url string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := store.Open(ctx, url, store.Options{Logger: zerolog.New(os.Stderr).Level(zerolog.ErrorLevel)})
	if err != nil {
		return err
	}
	over := make(chan error, 1)
	go func() {
		over <- s.Run(ctx, Worker(func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
			defer cancel() // this job, and no more
			fmt.Println("begun")
			if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
				return ledger.Entry{}, err
			}
			_, err := s.ClaimTags(ctx, attempt, store.TagClaim{Registry: "r.test", Repository: "app", Tags: []string{"latest"}})
			fmt.Println("claim:", err)
			e, _ := Pushed(ctx, job, attempt)
			e.Client = "holder"
			return e, nil
		}), 1)
	}()
	if err := <-over; err != nil {
		return err
	}
	fmt.Println("over")
	return s.Close()
}

// peer is a holder in a process of its own.
type peer struct {
	cmd   *exec.Cmd
	in    io.Writer
	lines *bufio.Scanner
}

func startPeer(t *testing.T, url string) *peer {
	t.Helper()
	cmd := again(t, victimEnv+"="+url, holderEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(60*time.Second, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		watchdog.Stop()
		_ = cmd.Process.Kill() // it may be gone already, and that is as well
		_ = cmd.Wait()
	})
	return &peer{cmd: cmd, in: in, lines: bufio.NewScanner(out)}
}

func (p *peer) says(t *testing.T, want string) {
	t.Helper()
	if !p.lines.Scan() {
		t.Fatalf("the other daemon ended before it said %q", want)
	}
	if got := p.lines.Text(); got != want {
		t.Fatalf("the other daemon said %q, want %q", got, want)
	}
}

func (p *peer) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

func aDeadDaemonsJobsAreFinishedByAnother(t *testing.T, driver sqldbtest.Driver) {
	if !driver.Shared {
		t.Skip("this kind of database has one daemon")
	}
	url := driver.Empty(t)
	s := OpenAt(t, url, store.Options{})
	Enqueue(t, s, Jobs("inv", 1))
	other := startPeer(t, url)
	other.says(t, "begun")
	Run(t, s, Pushed)
	other.signal(t, syscall.SIGKILL)
	died := time.Now()
	Settled(t, s, "inv", 10*time.Second)
	t.Logf("finished %s after the kill", time.Since(died))
	if got := Entries(t, s, ledger.Query{}); len(got) != 1 || got[0].Attempts != 1 {
		t.Errorf("rows = %+v, want one, of one attempt", got)
	}
}

func aStalledDaemonThatComesBackDecidesNothing(t *testing.T, driver sqldbtest.Driver) {
	if !driver.Shared {
		t.Skip("this kind of database has one daemon")
	}
	url := driver.Empty(t)
	s := OpenAt(t, url, store.Options{StallLimit: 3 * time.Second})
	Enqueue(t, s, Jobs("inv", 1))
	other := startPeer(t, url)
	other.says(t, "begun")
	other.signal(t, syscall.SIGSTOP)
	Run(t, s, Pushed)
	Settled(t, s, "inv", 20*time.Second)

	other.signal(t, syscall.SIGCONT)
	if _, err := io.WriteString(other.in, "go on\n"); err != nil {
		t.Fatal(err)
	}
	other.says(t, "claim: "+store.ErrLost.Error())
	other.says(t, "over")
	if got := Entries(t, s, ledger.Query{}); len(got) != 1 || got[0].Client != "" {
		t.Errorf("rows = %+v, want one, of the daemon that did not stall", got)
	}
}
