package store

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
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
	code := m.Run()
	if err := stopPostgres(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
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
	onEach(t, func(t *testing.T, db place) {
		url := db.url(t)
		most := 0
		for _, n := range []int{1, 7, 20, 45} {
			most = max(most, kill(t, url, n))
		}
		s := db.openAt(t, url, Options{})
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
	})
}

func TestAJobThatWasRunningAtTheKillIsDoneAgainAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := db.open(t, Options{})
		enqueue(t, s, jobs("inv", 1))
		ctx := t.Context()
		// What a kill leaves behind.
		if err := s.db.write(ctx, func(ctx context.Context, tx conn) error {
			_, err := tx.exec(ctx, `UPDATE river_job SET state = 'running', attempt = 1, attempted_by = `+map[string]string{"sqlite": `'["gone"]'`, "postgres": `ARRAY['gone']`}[db.name])
			return err
		}); err != nil {
			t.Fatal(err)
		}
		run(t, s, pushed)
		settledWithin(t, s, "inv", 5*time.Second)
		if got := entries(t, s, ledger.Query{})[0].Attempts; got != 1 {
			t.Errorf("the row counts %d attempts, want 1: an interrupted one is not counted", got)
		}
	})
}
