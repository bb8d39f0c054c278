package storetest

import (
	"bufio"
	"context"
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
	"github.com/drayage/drayage/internal/store"
)

// ExerciseKills kills daemons in the middle of their work, so many times, and
// checks that nothing is lost that was durable.
func ExerciseKills(t *testing.T, driver sqldbtest.Driver, kills int) {
	t.Run("a kill loses nothing that was durable", func(t *testing.T) { aKillLosesNothingThatWasDurable(t, driver, kills) })
	t.Run("a kill leaves no release half done", func(t *testing.T) { aKillLeavesNoReleaseHalfDone(t, driver, kills) })
	exercise(t, driver, []behaviour{
		{"a job that was running at the kill is done again at once", aJobThatWasRunningAtTheKillIsDoneAgainAtOnce},
		{"the spec that a daemon dies of is found out", theSpecThatADaemonDiesOfIsFoundOut},
		{"a dead daemon's jobs are finished by another", aDeadDaemonsJobsAreFinishedByAnother},
		{"a stalled daemon that comes back decides nothing", aStalledDaemonThatComesBackDecidesNothing},
	})
	if driver.Shared {
		exerciseOutages(t, kills)
	}
}

// victimEnv holds the store's URL in a process that is there to be killed.
const victimEnv = "DRAYAGE_TEST_VICTIM"

// roundEnv holds the name of the invocation whose jobs a victim enqueues.
const roundEnv = "DRAYAGE_TEST_ROUND"

// victimJobs is how many jobs a victim enqueues, one by one.
const victimJobs = 60

// Main is the TestMain of a package that calls [ExerciseKills]: its test binary is
// also the daemon that is killed.
func Main(m *testing.M) {
	if url := os.Getenv(victimEnv); url != "" {
		act := victim
		if os.Getenv(tagsEnv) != "" {
			act = gatedVictim
		}
		if os.Getenv(decoderEnv) != "" {
			act = decoder
		}
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
	s, err := store.Open(ctx, url, store.Options{Logger: zerolog.New(os.Stderr).Level(zerolog.ErrorLevel)})
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Run(ctx, Worker(Pushed), 4) }()
	for _, job := range Jobs(os.Getenv(roundEnv), victimJobs) {
		if err := s.Enqueue(ctx, []store.Job{job}); err != nil {
			return err
		}
		fmt.Println("durable", job.Target)
	}
	return <-failed
}

// again is this test binary once more, as another process.
func again(t *testing.T, environment ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stderr = os.Stderr
	return cmd
}

// kill starts a victim, with an environment that says which, and kills it when it has said n lines. It returns how many
// lines it said all the same.
func kill(t *testing.T, environment []string, n int) (durable int) {
	t.Helper()
	cmd := again(t, environment...)
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

func aKillLosesNothingThatWasDurable(t *testing.T, driver sqldbtest.Driver, kills int) {
	random := rand.New(rand.NewPCG(20260302, uint64(kills)))
	url := driver.Empty(t)
	durable := map[string]int{}
	for i := range kills {
		// Often in the same round, so that what is enqueued again is met half done.
		round := fmt.Sprintf("round%d", i/3)
		durable[round] = max(durable[round], kill(t, []string{victimEnv + "=" + url, roundEnv + "=" + round}, 1+random.IntN(victimJobs)))
	}
	s := OpenAt(t, url, store.Options{})
	Run(t, s, Pushed)
	for round, n := range durable {
		Settled(t, s, round, 20*time.Second)
		rows := map[string]int{}
		for _, e := range Entries(t, s, ledger.Query{Invocation: round, Limit: 1000}) {
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
	if report := Verify(t, s); len(report.Problems) > 0 || report.Waiting > 0 {
		t.Errorf("the ledger after all kills: %+v", report)
	}
}

func aJobThatWasRunningAtTheKillIsDoneAgainAtOnce(t *testing.T, driver sqldbtest.Driver) {
	url := driver.Empty(t)
	s := OpenAt(t, url, store.Options{})
	Enqueue(t, s, Jobs("inv", 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	victim := startPeer(t, url)
	victim.says(t, "begun")
	victim.signal(t, syscall.SIGKILL)
	_ = victim.cmd.Wait() // that it was killed is no news

	s = OpenAt(t, url, store.Options{})
	Run(t, s, Pushed)
	Settled(t, s, "inv", 10*time.Second)
	if got := Entries(t, s, ledger.Query{})[0].Attempts; got != 1 {
		t.Errorf("the row counts %d attempts, want 1: an interrupted one is not counted", got)
	}
}
