package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

// decoderEnv makes a victim a daemon that dies when it decodes the spec of deadly.
const decoderEnv = "DRAYAGE_TEST_DECODER"

// deadly is the target of the job whose spec kills.
const deadly = "//deadly"

// decoder has a dozen jobs under way, which wait until the deadly one has killed it.
func decoder(url string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, url, store.Options{Logger: zerolog.New(os.Stderr).Level(zerolog.ErrorLevel)})
	if err != nil {
		return err
	}
	var others sync.WaitGroup
	others.Add(12)
	return s.Run(ctx, Worker(func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		if job.Target == deadly {
			others.Wait()
		}
		if err := s.BeginDecode(ctx, attempt); err != nil {
			return ledger.Entry{}, err
		}
		if job.Target == deadly {
			return ledger.Entry{}, syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		if err := s.EndDecode(ctx, attempt); err != nil {
			return ledger.Entry{}, err
		}
		others.Done()
		<-ctx.Done() // at its haul
		return ledger.Entry{}, ctx.Err()
	}), 16)
}

func theSpecThatADaemonDiesOfIsFoundOut(t *testing.T, driver sqldbtest.Driver) {
	url := driver.Empty(t)
	s := OpenAt(t, url, store.Options{})
	Enqueue(t, s, append(Jobs("inv", 12), store.Job{Invocation: "inv", Target: deadly, Spec: store.SpecRef{Hash: "deadly"}}))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		cmd := again(t, victimEnv+"="+url, decoderEnv+"=1")
		watchdog := time.AfterFunc(60*time.Second, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
		err := cmd.Run()
		watchdog.Stop()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
			t.Fatalf("the daemon ended: %v, want a kill by itself", err)
		}
	}

	s = OpenAt(t, url, store.Options{})
	var mu sync.Mutex
	deaths := map[string]int{}
	Run(t, s, func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		n, err := s.DecodeDeaths(ctx, attempt)
		if err != nil {
			return ledger.Entry{}, err
		}
		mu.Lock()
		deaths[job.Target] = n
		mu.Unlock()
		return Pushed(ctx, job, attempt)
	})
	Settled(t, s, "inv", 20*time.Second)
	if len(deaths) != 13 || deaths[deadly] != 3 {
		t.Errorf("deaths are counted for %v, want 3 for %s", deaths, deadly)
	}
	for target, n := range deaths {
		if target != deadly && n != 0 {
			t.Errorf("%d deaths are counted for %s, which was under way only", n, target)
		}
	}
}

func aDecodeThatEndsTakesTheMarksOfItsJobAway(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("inv", 1))
	failed := make(chan error, 1)
	Run(t, s, func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		var errs []error
		count := func(want int) {
			if n, err := s.DecodeDeaths(ctx, attempt); err != nil || n != want {
				errs = append(errs, fmt.Errorf("%d deaths are counted (%w), want %d", n, err, want))
			}
		}
		count(0)
		errs = append(errs, s.BeginDecode(ctx, attempt), s.BeginDecode(ctx, attempt))
		count(2)
		errs = append(errs, s.EndDecode(ctx, attempt))
		count(0)
		failed <- errors.Join(errs...)
		return Pushed(ctx, job, attempt)
	})
	if err := <-failed; err != nil {
		t.Error(err)
	}
}
