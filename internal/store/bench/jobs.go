package main

import (
	"context"
	"fmt"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// workers is how many jobs are under way at the same time.
const workers = 64

// jobsGoal is how many jobs a second PostgreSQL is to bring to their end.
const jobsGoal = 1000

// done is a worker that has nothing to do but to say so, at the length of a real
// row.
type done struct{}

// Work implements [store.Worker].
func (done) Work(_ context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
	digest := "sha256:" + job.Spec.Hash
	return ledger.Entry{
		Outcome: ledger.Pushed, Registry: "registry.example.com", Repository: "team/app", Digest: digest,
		Manifests: []ledger.Manifest{{Digest: digest, MediaType: "application/vnd.oci.image.manifest.v1+json", Platform: "linux/amd64"}},
		Tags:      []ledger.Tag{{Name: "latest", Previous: digest}, {Name: "v1"}},
		Uploaded:  ledger.Count{Blobs: 2, Bytes: 1 << 20}, Present: ledger.Count{Blobs: 5, Bytes: 1 << 26}, Requests: 6,
		Attempts: attempt.Number, Duration: time.Second, Target: job.Target, Configuration: job.Configuration,
		SpecDigest: digest, BuildID: job.Build, InvocationID: job.Invocation, Command: "build", BazelVersion: "7.7.1",
		Commit: "0123456789abcdef0123456789abcdef01234567", Branch: "main",
		Metadata: map[string]string{"PIPELINE": "release", "RUN": "12345"}, Client: job.Client, DaemonVersion: "bench",
	}, nil
}

// throughput measures how many jobs a second end in the ledger, and lets what
// the other measurements left in the queue be done first.
func throughput(ctx context.Context, report *report, s *store.Store, size sizes, name string) error {
	invocation := "throughput"
	list := make([]store.Job, size.jobs)
	for i := range list {
		list[i] = job(invocation, i)
		list[i].Priority = store.PriorityUrgent
	}
	if err := s.Enqueue(ctx, list); err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- s.Run(running, done{}, workers) }()
	if err := s.Wait(ctx, invocation); err != nil {
		return err
	}
	rate := float64(size.jobs) / time.Since(began).Seconds()
	report.linef(fmt.Sprintf("jobs to the ledger, %d workers", workers), "%.0f/s", rate)
	if name == "postgres" {
		report.atLeast(name+"-jobs", rate, jobsGoal)
	}
	stop()
	return <-ended
}
