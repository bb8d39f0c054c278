package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

// holderEnv makes a victim a daemon that takes a job and does not finish it until
// it is told to.
const holderEnv = "DRAYAGE_TEST_HOLDER"

// holder says when it has begun a job, and when the job is over for it; in
// between it waits for a line.
func holder(url string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := Open(ctx, url, Options{Logger: zerolog.New(os.Stderr).Level(zerolog.ErrorLevel)})
	if err != nil {
		return err
	}
	over := make(chan error, 1)
	go func() {
		over <- s.Run(ctx, worker(func(ctx context.Context, job Job, attempt Attempt) (ledger.Entry, error) {
			defer cancel() // this job, and no more
			fmt.Println("begun")
			if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
				return ledger.Entry{}, err
			}
			_, err := s.ClaimTags(ctx, attempt, TagClaim{Registry: "r.test", Repository: "app", Tags: []string{"latest"}})
			fmt.Println("claim:", err)
			e, _ := pushed(ctx, job, attempt)
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
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+url, holderEnv+"=1")
	cmd.Stderr = os.Stderr
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

func TestADeadDaemonsJobsAreFinishedByAnother(t *testing.T) {
	sqldbtest.EachShared(t, func(t *testing.T, driver sqldbtest.Driver) {
		url := driver.Empty(t)
		s := openAt(t, url, Options{})
		enqueue(t, s, jobs("inv", 1))
		other := startPeer(t, url)
		other.says(t, "begun")
		run(t, s, pushed)
		other.signal(t, syscall.SIGKILL)
		died := time.Now()
		settledWithin(t, s, "inv", 10*time.Second)
		t.Logf("finished %s after the kill", time.Since(died))
		if got := entries(t, s, ledger.Query{}); len(got) != 1 || got[0].Attempts != 1 {
			t.Errorf("rows = %+v, want one, of one attempt", got)
		}
	})
}

func TestAStalledDaemonThatComesBackDecidesNothing(t *testing.T) {
	sqldbtest.EachShared(t, func(t *testing.T, driver sqldbtest.Driver) {
		url := driver.Empty(t)
		s := openAt(t, url, Options{StallLimit: 3 * time.Second})
		enqueue(t, s, jobs("inv", 1))
		other := startPeer(t, url)
		other.says(t, "begun")
		other.signal(t, syscall.SIGSTOP)
		run(t, s, pushed)
		settledWithin(t, s, "inv", 20*time.Second)

		other.signal(t, syscall.SIGCONT)
		if _, err := io.WriteString(other.in, "go on\n"); err != nil {
			t.Fatal(err)
		}
		other.says(t, "claim: "+ErrLost.Error())
		other.says(t, "over")
		if got := entries(t, s, ledger.Query{}); len(got) != 1 || got[0].Client != "" {
			t.Errorf("rows = %+v, want one, of the daemon that did not stall", got)
		}
	})
}

func TestALostRunWritesNoRow(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		enqueue(t, s, jobs("inv", 1))
		begun, goOn, claimed := make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
		stop := run(t, s, func(ctx context.Context, job Job, attempt Attempt) (ledger.Entry, error) {
			begun <- struct{}{}
			if attempt.run == 1 {
				<-goOn
				if _, err := s.ClaimTags(ctx, attempt, TagClaim{Registry: "r", Repository: "a", Tags: []string{"t"}}); !errors.Is(err, ErrLost) {
					t.Errorf("claim of a lost run = %v, want ErrLost", err)
				}
				close(claimed)
			}
			e, err := pushed(ctx, job, attempt)
			e.Requests = attempt.run
			return e, err
		})
		<-begun
		// Somebody takes the first run for dead.
		if err := s.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error {
			_, err := tx.Exec(ctx, `UPDATE river_job SET state = 'available'`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		<-begun
		settledWithin(t, s, "inv", 10*time.Second)
		close(goOn)
		<-claimed
		stop()
		if got := entries(t, s, ledger.Query{}); len(got) != 1 || got[0].Requests != 2 {
			t.Errorf("rows = %+v, want one, of the second run", got)
		}
	})
}
