package haul_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/clock/clocktest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

// impatient is a hauler whose clock moves when it waits.
func impatient(t testing.TB, client *cas.Client, registries registry.Options) *haul.Hauler {
	t.Helper()
	if registries.Keychain == nil {
		registries.Keychain = authn.NewMultiKeychain()
	}
	if registries.Wait == nil {
		c := clocktest.New()
		registries.Now, registries.Wait = c.Now, c.Wait
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
