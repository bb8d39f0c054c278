package registry_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/clock/clocktest"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

// outage is a registry that asks once for a wait of more than a day.
func outage(t *testing.T) (c *clocktest.Clock, client *registry.Client, repo *registry.Repository, requests *atomic.Int64) {
	t.Helper()
	requests = &atomic.Int64{}
	fake := registrytest.Start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault {
		if requests.Add(1) == 1 {
			return &registrytest.Fault{Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"99999"}}}
		}
		return nil
	}})
	c = clocktest.New()
	client = registry.New(registry.Options{Now: c.Now, Wait: c.Wait})
	t.Cleanup(client.Close)
	repo, err := client.Repository(fake.Host, "acme/app", registry.Caller{Invocation: "inv"})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = repo.Head(t.Context(), "v1")
	if failed, ok := errors.AsType[*registry.Error](err); !ok || failed.RetryAfter != 30*time.Minute || !strings.Contains(err.Error(), "it asked for 27h46m39s; drayage waits 30m0s at most") {
		t.Fatalf("the answer that asks for a day is %v", err)
	}
	return c, client, repo, requests
}

func wantPaused(t *testing.T, repo *registry.Repository) {
	t.Helper()
	_, _, err := repo.Head(t.Context(), "v1")
	if err == nil || !strings.Contains(err.Error(), "was not asked: it answered 503 to: look up manifest acme/app:v1, and asked for 27h46m39s; it is left alone until 22:43:20 at most, and the next try is at 22:14:20 UTC") {
		t.Errorf("during the pause a lookup is %v", err)
	}
}

func TestAPauseNamesTheAnswerThatAskedForItAndOneRequestEndsIt(t *testing.T) {
	c, client, repo, requests := outage(t)
	wantPaused(t, repo)
	status := client.Statuses()[0]
	if status.Registry != repo.Registry() || status.Pause.Answer.Status != http.StatusServiceUnavailable || status.TrialDue || !status.LastProgress.IsZero() {
		t.Errorf("its status is %+v", status)
	}
	c.Pass(time.Minute)
	if !client.Statuses()[0].TrialDue {
		t.Error("after a minute no trial is due")
	}
	if _, found, err := repo.Head(t.Context(), "v1"); found || err != nil {
		t.Errorf("the trial is %t, %v", found, err)
	}
	if status := client.Statuses()[0]; !status.Pause.Until.IsZero() || !status.LastProgress.Equal(c.Now()) {
		t.Errorf("after the trial its status is %+v", status)
	}
	if requests.Load() != 2 {
		t.Errorf("%d requests were sent, want the first and the trial", requests.Load())
	}
}

func TestAPauseIsLifted(t *testing.T) {
	_, client, repo, _ := outage(t)
	if !client.Lift(repo.Registry()) {
		t.Error("there was nothing to lift")
	}
	if _, found, err := repo.Head(t.Context(), "v1"); found || err != nil {
		t.Errorf("after the lift a lookup is %t, %v", found, err)
	}
	if client.Lift(repo.Registry()) || client.Lift("another.test") {
		t.Error("a pause was lifted that there was not")
	}
}

func TestNothingIsSentToABlockedRegistry(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{})
	client := registry.New(registry.Options{})
	t.Cleanup(client.Close)
	if err := client.Block(fake.Host, true); err != nil {
		t.Fatal(err)
	}
	repo, err := client.Repository(fake.Host, "acme/app", registry.Caller{})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = repo.Head(t.Context(), "v1")
	if blocked, ok := errors.AsType[*registry.BlockedError](err); !ok || blocked.Registry != repo.Registry() {
		t.Errorf("a lookup is %v", err)
	}
	if err := client.Block(fake.Host, false); err != nil {
		t.Fatal(err)
	}
	if _, _, err := repo.Head(t.Context(), "v1"); err != nil {
		t.Errorf("once it is open a lookup is %v", err)
	}
}

func TestDockerHubHasOneName(t *testing.T) {
	for _, alias := range []string{"docker.io", "index.docker.io"} {
		if got, err := registry.HostName(alias); err != nil || got != "index.docker.io" {
			t.Errorf("%s is %q, %v", alias, got, err)
		}
	}
	if _, err := registry.HostName("https://ghcr.io/acme"); err == nil {
		t.Error("an address was taken for a host")
	}
}
