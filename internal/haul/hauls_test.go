package haul_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

// clock is a clock that moves when somebody waits for it.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Unix(1_000_000, 0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	return ctx.Err()
}

// impatient is a hauler whose clock moves when it waits.
func impatient(t testing.TB, client *cas.Client, registries registry.Options) *haul.Hauler {
	t.Helper()
	if registries.Keychain == nil {
		registries.Keychain = authn.NewMultiKeychain()
	}
	if registries.Wait == nil {
		c := newClock()
		registries.Now, registries.Wait = c.now, c.wait
	}
	r := registry.New(registries)
	t.Cleanup(r.Close)
	h, err := haul.New(haul.Options{CAS: client, Registries: r, Grace: -1, Now: registries.Now, Wait: registries.Wait})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// haulAll hauls all specs at once.
func haulAll(ctx context.Context, h *haul.Hauler, specs []*pushspec.Spec) ([]haul.Result, []error) {
	results, errs := make([]haul.Result, len(specs)), make([]error, len(specs))
	var hauls sync.WaitGroup
	for i, spec := range specs {
		hauls.Go(func() { results[i], errs[i] = h.Haul(ctx, request(spec)) })
	}
	hauls.Wait()
	return results, errs
}
