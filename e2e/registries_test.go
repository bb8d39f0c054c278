package e2e_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
)

// port is a daemon whose copies go to a registry behind a proxy.
type port struct {
	daemon *rig.Daemon
	proxy  *rig.Proxy
	source string // of the copies
}

// copies is how many copies a port is asked for at once.
const copies = 5

func startPort(t *testing.T) *port {
	t.Helper()
	cache, from, to := rig.StartBazelRemote(t), rig.StartRegistry(t), rig.StartRegistry(t)
	spec := faultyImage(t, cache, from.Host, "acme/app", "v1", faultyNoise(1, 4<<20))
	check(t, spec.Validate())
	_, err := faultyHauler(t, cache.GRPC).Haul(t.Context(), haul.Request{Spec: spec, Repository: "acme/app", Tags: spec.Destination.Tags, Invocation: "e2e"})
	check(t, err)
	return &port{
		daemon: rig.StartDrayaged(t, rig.DaemonConfig{CAS: cache.GRPC}), proxy: rig.StartProxy(t, to.Host),
		source: from.Host + "/acme/app@" + spec.Root.String(),
	}
}

// tool runs the tool for people.
func (p *port) tool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), rig.Drayage(t), append(args, "--daemon", p.daemon.URL)...).CombinedOutput()
	if err != nil {
		t.Fatalf("drayage %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// copy asks for copies, and returns their invocation.
func (p *port) copy(t *testing.T) string {
	t.Helper()
	args := []string{"copy", p.source}
	for i := range copies {
		args = append(args, fmt.Sprintf("%s/release/app-%d:v1", p.proxy.Host, i))
	}
	_, invocation, found := strings.Cut(strings.TrimSpace(p.tool(t, append(args, "--by-daemon")...)), "invocation: ")
	if !found {
		t.Fatal("drayage copy names no invocation")
	}
	return invocation
}

// registry is the registry behind the proxy, once it is as wanted.
func (p *port) registry(t *testing.T, what string, wanted func(operator.Registry) bool) operator.Registry {
	t.Helper()
	var found operator.Registry
	rig.WaitFor(t, time.Minute, what, func() error {
		list, err := p.daemon.API(t).Registries(t.Context())
		if err != nil {
			return err
		}
		for _, r := range list {
			if r.Registry == p.proxy.Host && wanted(r) {
				found = r
				return nil
			}
		}
		return fmt.Errorf("the registries are %+v", list)
	})
	return found
}

// wantDone waits until all copies are there, and returns the attempts that they took.
func (p *port) wantDone(t *testing.T, invocation string, limit time.Duration) (attempts int) {
	t.Helper()
	p.daemon.WaitPushed(t, invocation, limit)
	rows := p.daemon.Ledger(t, ledger.Query{Invocation: invocation})
	for _, row := range rows {
		if row.Outcome != ledger.Pushed {
			t.Errorf("%s: %s, %s", row.Repository, row.Outcome, row.Error)
		}
		attempts += row.Attempts
	}
	if len(rows) != copies {
		t.Errorf("the ledger has %d rows of %d copies", len(rows), copies)
	}
	return attempts
}

func TestOneAnswerDoesNotKeepARegistryFromEverybody(t *testing.T) {
	t.Parallel()
	for name, lifted := range map[string]bool{"an operator lifts the pause": true, "a request finds out that the registry is back": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPort(t)
			var asked atomic.Bool
			p.proxy.Break(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if asked.CompareAndSwap(false, true) {
					w.Header().Set("Retry-After", "99999999")
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				next.ServeHTTP(w, r)
			})
			began := time.Now()
			invocation := p.copy(t)
			paused := p.registry(t, "the pause, and the jobs that wait", func(r operator.Registry) bool { return r.Pause != nil && r.Jobs == copies })
			if wait := paused.Pause.Until.Sub(paused.Pause.Since); wait > time.Hour || paused.Pause.Status != http.StatusServiceUnavailable || paused.Pause.AskedSeconds != 99999999 {
				t.Errorf("the pause is %+v", paused.Pause)
			}
			if shown := p.tool(t, "registries"); !strings.Contains(shown, "asked for 27777h46m39s") {
				t.Errorf("drayage registries does not say who asked for the pause:\n%s", shown)
			}
			if lifted {
				p.tool(t, "registries", "lift", p.proxy.Host)
				p.wantDone(t, invocation, 30*time.Second)
				return
			}
			p.wantDone(t, invocation, 2*time.Minute)
			if took := time.Since(began); took < 50*time.Second {
				t.Errorf("the copies were done after %s: nothing was paused", took)
			}
		})
	}
}

func TestPushesToABlockedRegistryWaitAndLoseNoAttempt(t *testing.T) {
	t.Parallel()
	p := startPort(t)
	p.proxy.Break(rig.Slow(64 << 10))
	invocation := p.copy(t)
	p.registry(t, "a push under way", func(r operator.Registry) bool { return r.Pushes > 0 && r.UnderWay > 0 })
	p.tool(t, "registries", "block", p.proxy.Host)
	p.registry(t, "all pushes to wait", func(r operator.Registry) bool {
		return r.State == "blocked" && r.Pushes == 0 && r.UnderWay == 0 && r.Jobs == copies
	})
	p.proxy.Break(nil)
	p.daemon.Stop(t)
	restarted := time.Now()
	p.daemon.Start(t)
	p.registry(t, "the registry to be blocked after a restart", func(r operator.Registry) bool { return r.State == "blocked" })
	if n, err := p.daemon.API(t).Retry(t.Context(), operator.Selection{Invocation: invocation}); err != nil || n.Jobs != copies || len(n.Closed) != 1 {
		t.Errorf("a retry of jobs that wait for a blocked registry: %+v, %v", n, err)
	}
	p.registry(t, "all pushes to wait again", func(r operator.Registry) bool { return r.Jobs == copies })
	for _, request := range p.proxy.Requests() {
		if request.Began.After(restarted) {
			t.Errorf("the blocked registry was asked: %s %s", request.Method, request.URL)
		}
	}
	p.tool(t, "registries", "open", p.proxy.Host)
	if attempts := p.wantDone(t, invocation, 30*time.Second); attempts != copies {
		t.Errorf("%d attempts were counted, want one a copy", attempts)
	}
}
