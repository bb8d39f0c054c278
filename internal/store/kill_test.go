package store

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/ledger"
)

// victimEnv holds the store's URL in a process that is there to be killed.
const victimEnv = "DRAYAGE_TEST_VICTIM"

// victimJobs is how many jobs a victim enqueues, one by one.
const victimJobs = 60

func TestMain(m *testing.M) {
	if url := os.Getenv(victimEnv); url != "" {
		if err := victim(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// victim enqueues jobs and works on them, and says of each that is durable.
func victim(url string) error {
	ctx := context.Background()
	s, err := Open(ctx, url, Options{Logger: zerolog.New(os.Stderr).Level(zerolog.ErrorLevel)})
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Run(ctx, worker(pushed), 4) }()
	for _, job := range jobs("inv", victimJobs) {
		if err := s.Enqueue(ctx, []Job{job}); err != nil {
			return err
		}
		fmt.Println("durable", job.Target)
	}
	return <-failed
}

// kill starts a victim and kills it when it has said n lines.
func kill(t *testing.T, url string, n int) (durable int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+url)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if durable++; durable == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the victim ended by itself")
	}
	return durable
}

func TestAKillLosesNothingThatWasDurable(t *testing.T) {
	url := filepath.Join(t.TempDir(), "drayage.db")
	most := 0
	for _, n := range []int{1, 7, 20, 45} {
		most = max(most, kill(t, url, n))
	}
	s, err := Open(t.Context(), url, quiet(t, Options{}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	run(t, s, pushed)
	settledWithin(t, s, "inv", 10*time.Second)

	rows := map[string]int{}
	for _, e := range entries(t, s, ledger.Query{Limit: 1000}) {
		rows[e.Target]++
	}
	if len(rows) < most {
		t.Errorf("%d jobs have a row, and %d were durable", len(rows), most)
	}
	for target, n := range rows {
		if n != 1 {
			t.Errorf("%s has %d rows", target, n)
		}
	}
}

func TestAJobThatWasRunningAtTheKillIsDoneAgainAtOnce(t *testing.T) {
	s := open(t, Options{})
	enqueue(t, s, jobs("inv", 1))
	ctx := t.Context()
	// What a kill leaves behind.
	if err := s.db.write(ctx, func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, `UPDATE river_job SET state = 'running', attempt = 1`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	run(t, s, pushed)
	settledWithin(t, s, "inv", 5*time.Second)
	if got := entries(t, s, ledger.Query{})[0].Attempts; got != 1 {
		t.Errorf("the row counts %d attempts, want 1: an interrupted one is not counted", got)
	}
}
