package main

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/internal/store"
)

// askOnce asks a registry for a manifest.
func (d *testDaemon) askOnce(t *testing.T, host string) error {
	t.Helper()
	repository, err := d.registries.Repository(host, "acme/app", registry.Caller{})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = repository.Head(t.Context(), "latest")
	return err
}

// waitFor has a job of the invocation wait for a registry.
func (d *testDaemon) waitFor(t *testing.T, host, invocation string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	done := make(chan error, 1)
	go func() {
		done <- d.store.Run(ctx, workFunc(func(context.Context, store.Job, store.Attempt) (ledger.Entry, error) {
			return ledger.Entry{}, &store.PostponeError{After: time.Hour, Registry: host}
		}), 1)
	}()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for waiting := []string(nil); len(waiting) == 0; {
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatal("the job does not wait")
		}
		var err error
		if waiting, err = d.store.WaitedFor(ctx, store.Selection{Invocation: invocation}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestRegistriesAreShownAndSteered(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
	var asked atomic.Int64
	fake := registrytest.Start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault {
		if asked.Add(1)%2 == 1 {
			return &registrytest.Fault{Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"99999999"}}}
		}
		return nil
	}})
	d := newTestDaemon(t)
	var shown strings.Builder
	show := func(args ...string) {
		out, _ := tool(t, args...) // the error is in it
		shown.WriteString("$ drayage " + strings.Join(args, " ") + "\n" + out)
	}
	mustBePaused := func() {
		if err := d.askOnce(t, fake.Host); err == nil {
			t.Fatal("the registry answered")
		}
	}
	show("registries")
	mustBePaused()
	show("registries")
	show("registries", "lift", fake.Host)
	if err := d.askOnce(t, fake.Host); err != nil {
		t.Errorf("after the lift: %v", err)
	}
	show("registries", "lift", fake.Host)
	show("registries")
	show("registries", "drain", fake.Host)
	show("registries", "block", fake.Host)
	if err := d.askOnce(t, fake.Host); err == nil || !strings.Contains(err.Error(), "an operator has blocked it") {
		t.Errorf("once it is blocked: %v", err)
	}
	d.enqueue(t, "first", map[string]string{"//app:push": "a"})
	d.waitFor(t, fake.Host, "first")
	show("registries")
	show("jobs", "retry", "--all")
	show("registries", "open", fake.Host)
	mustBePaused()
	d.enqueue(t, "second", map[string]string{"//web:push": "b"})
	d.waitFor(t, fake.Host, "second")
	show("jobs", "retry", "--invocation", "second")
	if err := d.askOnce(t, fake.Host); err != nil {
		t.Errorf("after the retry: %v", err)
	}
	show("registries", "drain", "https://ghcr.io/acme")
	show("registries", "drain")
	golden(t, "registries.golden", regexpPort.ReplaceAllString(strings.ReplaceAll(shown.String(), fake.Host, "HOST"), "CLIENT"))

	out, err := tool(t, "registries", "-o", "json")
	if err != nil || !strings.Contains(out, `"registry": "`+fake.Host+`"`) {
		t.Errorf("as JSON they are %v\n%s", err, out)
	}
}

// regexpPort finds clients of a daemon that knows no names.
var regexpPort = regexp.MustCompile(`127\.0\.0\.1:\d+`)
