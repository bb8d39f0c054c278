package store

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

var kills = flag.Int("kills", 4, "how often each kill test kills")

// victimEnv holds the store's URL in a process that is there to be killed.
const victimEnv = "DRAYAGE_TEST_VICTIM"

// roundEnv holds the name of the invocation whose jobs a victim enqueues.
const roundEnv = "DRAYAGE_TEST_ROUND"

// victimJobs is how many jobs a victim enqueues, one by one.
const victimJobs = 60

func TestMain(m *testing.M) {
	if url := os.Getenv(victimEnv); url != "" {
		act := victim
		if os.Getenv(holderEnv) != "" {
			act = holder
		}
		if err := act(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	sqldbtest.Main(m)
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
	for _, job := range jobs(os.Getenv(roundEnv), victimJobs) {
		if err := s.Enqueue(ctx, []Job{job}); err != nil {
			return err
		}
		fmt.Println("durable", job.Target)
	}
	return <-failed
}

// kill starts a victim and kills it when it has said n lines. It returns how many
// lines it said all the same.
func kill(t *testing.T, url, round string, n int) (durable int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+url, roundEnv+"="+round)
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
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		random := rand.New(rand.NewPCG(20260302, uint64(*kills)))
		url := driver.Empty(t)
		durable := map[string]int{}
		for i := range *kills {
			// Often in the same round, so that what is enqueued again is met half done.
			round := fmt.Sprintf("round%d", i/3)
			durable[round] = max(durable[round], kill(t, url, round, 1+random.IntN(victimJobs)))
		}
		s := openAt(t, url, Options{})
		run(t, s, pushed)
		for round, n := range durable {
			settledWithin(t, s, round, 20*time.Second)
			rows := map[string]int{}
			for _, e := range entries(t, s, ledger.Query{Invocation: round, Limit: 1000}) {
				rows[e.Target]++
			}
			if len(rows) < n {
				t.Errorf("%s: %d jobs have a row, and %d were durable", round, len(rows), n)
			}
			for target, n := range rows {
				if n != 1 {
					t.Errorf("%s: %s has %d rows", round, target, n)
				}
			}
		}
		if report := verify(t, s); len(report.Problems) > 0 || report.Waiting > 0 {
			t.Errorf("the ledger after all kills: %+v", report)
		}
	})
}

func TestAJobThatWasRunningAtTheKillIsDoneAgainAtOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		url := driver.Empty(t)
		s := openAt(t, url, Options{})
		enqueue(t, s, jobs("inv", 1))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		victim := startPeer(t, url)
		victim.says(t, "begun")
		victim.signal(t, syscall.SIGKILL)
		_ = victim.cmd.Wait() // that it was killed is no news

		s = openAt(t, url, Options{})
		run(t, s, pushed)
		settledWithin(t, s, "inv", 5*time.Second)
		if got := entries(t, s, ledger.Query{})[0].Attempts; got != 1 {
			t.Errorf("the row counts %d attempts, want 1: an interrupted one is not counted", got)
		}
	})
}
