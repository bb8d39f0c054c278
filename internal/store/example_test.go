package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// pusher is a worker that finds every image in its registry.
type pusher struct{}

func (pusher) Work(_ context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
	return ledger.Entry{
		Outcome: ledger.Present, Registry: "ghcr.io", Repository: "acme/app", Target: job.Target, Attempts: attempt.Number,
	}, nil
}

func Example() {
	dir, err := os.MkdirTemp("", "store-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()

	s, err := store.Open(ctx, filepath.Join(dir, "drayage.db"), store.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	// When Enqueue has returned, the build event may be acknowledged.
	job := store.Job{Invocation: "4f0e", Target: "//app:push", Spec: store.SpecRef{Function: "sha256", Hash: "9f2c", Size: 4096}}
	if err := s.Enqueue(ctx, []store.Job{job}); err != nil {
		fmt.Println(err)
	}

	done := make(chan error)
	go func() { done <- s.Run(ctx, pusher{}, 4) }()
	if err := s.Wait(ctx, "4f0e"); err != nil {
		fmt.Println(err)
	}
	rows, err := s.Entries(ctx, ledger.Query{Repository: "acme/app"})
	if err != nil {
		fmt.Println(err)
	}
	for _, row := range rows {
		fmt.Println(row.Outcome, row.Target, row.Attempts)
	}

	stop()
	fmt.Println(<-done, s.Close())
	// Output:
	// present //app:push 1
	// <nil> <nil>
}
