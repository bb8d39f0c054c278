package main

import (
	"bytes"
	"context"
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/hosts"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/internal/web"
)

var update = flag.Bool("update", false, "write what is printed to the golden files")

// checkpointCount is how many checkpoints a log has: that depends on when the
// store got round to sealing.
var checkpointCount = regexp.MustCompile(`\d+ checkpoints`)

// golden compares what people see with a file of testdata.
func golden(t *testing.T, file, got string) {
	t.Helper()
	got = checkpointCount.ReplaceAllString(got, "N checkpoints")
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); go test -update writes it anew:\n%s", file, diff)
	}
}

// tool runs the program's command and returns what it prints, and its error's
// text below that.
func tool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(t.Context())
	if err != nil {
		out.WriteString("drayage: " + err.Error() + "\n")
	}
	return out.String(), err
}

// A key pair that is used nowhere else, so that checkpoints are the same in
// every run.
const (
	testSigner   = "PRIVATE+KEY+ledger.test+4d15d6ea+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
	testVerifier = "ledger.test+4d15d6ea+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
)

// testDaemon serves the API over a store.
type testDaemon struct {
	store *store.Store
	// registries speaks to the registries, and hosts says which of them are closed.
	registries *registry.Client
	hosts      *hosts.Hosts
	// copied are the copies that were asked for.
	copied *copyQueue
	path   string // of the database
	url    string
}

// newTestDaemon has a clock that stands still.
func newTestDaemon(t *testing.T) *testDaemon {
	t.Helper()
	return newTestDaemonWith(t, func() time.Time { return time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC) })
}

func newTestDaemonWith(t *testing.T, clock func() time.Time) *testDaemon {
	t.Helper()
	d := &testDaemon{path: filepath.Join(t.TempDir(), "drayage.db")}
	var err error
	d.store, err = store.Open(t.Context(), d.path, store.Options{Logger: zerolog.Nop(), LogKey: testSigner, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.store.Close() })
	d.registries = registry.New(registry.Options{Now: clock})
	t.Cleanup(d.registries.Close)
	d.hosts = hosts.New(hosts.Options{States: d.store, Client: d.registries, Logger: zerolog.Nop()})
	d.copied = &copyQueue{store: d.store}
	server := httptest.NewServer(web.NewHandler(web.Options{
		Source: d.store, Copier: d.copied, Registries: d.hosts, Ready: func() error { return nil }, Metrics: prometheus.NewRegistry(), Logger: zerolog.Nop(),
	}))
	t.Cleanup(server.Close)
	d.url = server.URL
	t.Setenv("DRAYAGE_DAEMON", server.URL)
	return d
}

// enqueue promises pushes of an invocation: by target, the first digit of the
// digest.
func (d *testDaemon) enqueue(t *testing.T, invocation string, targets map[string]string) {
	t.Helper()
	if err := d.store.SaveInvocation(t.Context(), store.Invocation{ID: invocation, Command: "build"}); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"//app:push", "//app:bad", "//web:push"} {
		digit, there := targets[target]
		if !there {
			continue
		}
		job := store.Job{Invocation: invocation, Target: target, Spec: store.SpecRef{Function: "sha256", Hash: strings.Repeat(digit, 64), Size: 1}}
		if err := d.store.Enqueue(t.Context(), []store.Job{job}); err != nil {
			t.Fatal(err)
		}
	}
}

// pushTo works on what is enqueued: what is not bad is said to have gone to a
// registry, to a repository of its package's name.
func (d *testDaemon) pushTo(t *testing.T, registry, invocation string) {
	t.Helper()
	d.work(t, invocation, func(_ context.Context, job store.Job, _ store.Attempt) (ledger.Entry, error) {
		e := ledger.Entry{
			Outcome: ledger.Pushed, Registry: registry, Repository: "acme/" + strings.Trim(job.Target[:5], "/:"), Target: job.Target,
			InvocationID: job.Invocation, Digest: "sha256:" + job.Spec.Hash, Tags: []ledger.Tag{{Name: "latest"}},
		}
		if strings.HasSuffix(job.Target, ":bad") {
			e.Outcome, e.Error = ledger.Failed, "push //app:bad: the registry is on fire"
		}
		return e, nil
	})
}

// workFunc is a worker.
type workFunc func(context.Context, store.Job, store.Attempt) (ledger.Entry, error)

func (w workFunc) Work(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
	return w(ctx, job, attempt)
}

func (d *testDaemon) work(t *testing.T, invocation string, w workFunc) {
	t.Helper()
	d.during(t, w, func() {
		if err := d.store.Wait(t.Context(), invocation); err != nil {
			t.Error(err)
		}
	})
	if _, err := d.store.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// during has a worker do whatever there is to do, for as long as act takes.
func (d *testDaemon) during(t *testing.T, w workFunc, act func()) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- d.store.Run(ctx, w, 1) }()
	act()
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
