package dispatch_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/dispatch"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/internal/store/storetest"
	"github.com/drayage/drayage/pushspec"
)

// yard is all of a daemon but its streams, and a registry: a store, and workers that haul.
type yard struct {
	store  *store.Store
	fake   *registrytest.Registry
	worker *dispatch.Worker
	images int
}

func newYard(t testing.TB, driver sqldbtest.Driver) *yard {
	t.Helper()
	y := &yard{fake: registrytest.Start(t, registrytest.Rules{})}
	var err error
	y.store, err = store.Open(t.Context(), driver.Migrated(t), store.Options{
		DrainTimeout: 200 * time.Millisecond, Backoff: func(int) time.Duration { return 0 }, Logger: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := y.store.Close(); err != nil {
			t.Error(err)
		}
	})
	registries := registry.New(registry.Options{Keychain: authn.NewMultiKeychain()})
	t.Cleanup(registries.Close)
	hauler, err := haul.New(haul.Options{Registries: registries})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := admission.New(admission.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	y.worker = dispatch.NewWorker(dispatch.WorkerOptions{
		Hauler: hauler, Invocations: y.store, Releases: y.store, Tags: y.store, Blobs: y.store, Policy: policy, Workers: yardWorkers, Logger: zerolog.Nop(),
	})
	return y
}

const yardWorkers = 16

// run has the workers work until it is told to stop, which they do in the middle of what
// they do.
func (y *yard) run(t testing.TB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- y.store.Run(ctx, y.worker, yardWorkers) }()
	stopped := false
	stop = func() {
		if cancel(); !stopped {
			stopped = true
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

// job pushes a new image.
func (y *yard) job(t testing.TB, invocation, repository string, gate pushspec.Gate, tags ...string) (store.Job, string) {
	t.Helper()
	y.images++
	config := describe(types.OCIConfigJSON, fmt.Sprintf(`{"number":%d}`, y.images))
	manifest := describe(types.OCIManifestSchema1, fmt.Sprintf(
		`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"size":%d,"digest":%q},"layers":[]}`,
		types.OCIManifestSchema1, types.OCIConfigJSON, config.Size, config.Digest))
	spec := &pushspec.Spec{
		MediaType: pushspec.MediaType, Target: "@@//" + repository + ":push",
		Destination: pushspec.Destination{Registry: y.fake.Host, Repository: repository, Tags: tags, Gate: gate},
		Root:        manifest.Digest, Manifests: []v1.Descriptor{manifest}, Blobs: []pushspec.Blob{{Descriptor: config}},
	}
	spec.Version()
	data, err := spec.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return store.Job{Invocation: invocation, Target: "//" + repository + ":push", Client: "token:ci", Spec: store.SpecRef{Inline: data}}, manifest.Digest.String()
}

// build is a build that announces its pushes, and ends once they have.
func (y *yard) build(t testing.TB, invocation string, started time.Time, jobs ...store.Job) {
	t.Helper()
	built := store.Invocation{ID: invocation, Command: "build", Started: started}
	if err := y.store.SaveInvocation(t.Context(), built); err != nil {
		t.Fatal(err)
	}
	if err := y.store.Enqueue(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
	y.wait(t, invocation)
}

// end ends a build.
func (y *yard) end(t testing.TB, invocation, exitCode string) {
	t.Helper()
	if err := y.store.SaveInvocation(t.Context(), store.Invocation{ID: invocation, Finished: true, ExitCode: exitCode}); err != nil {
		t.Fatal(err)
	}
}

// wait waits until no push of an invocation is pending, and its tags are not about to move.
func (y *yard) wait(t testing.TB, invocation string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := y.store.Wait(ctx, invocation); err != nil {
		t.Fatalf("wait for %s: %v", invocation, err)
	}
}

// pointsTo is what a tag points to, or "".
func (y *yard) pointsTo(repository, tag string) string {
	data, found := y.fake.Manifest(repository, tag)
	if !found {
		return ""
	}
	digest, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		panic(err)
	}
	return digest.String()
}

// rows are those of an invocation, the oldest first.
func (y *yard) rows(t *testing.T, invocation string, outcome ledger.Outcome) []ledger.Entry {
	t.Helper()
	return storetest.Entries(t, y.store, ledger.Query{Invocation: invocation, Outcome: outcome, Limit: ledger.MaxLimit})
}
