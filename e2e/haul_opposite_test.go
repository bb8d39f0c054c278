package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/pushspec"
)

func describeRemote(t *testing.T, reference string, auth authn.Authenticator) (*v1.Descriptor, error) {
	t.Helper()
	ref, err := name.ParseReference(reference)
	check(t, err)
	return remote.Head(ref, remote.WithContext(t.Context()), remote.WithAuth(auth))
}

// wantNothing asks the registry itself for the tag.
func wantNothing(t *testing.T, host string, spec *pushspec.Spec) {
	t.Helper()
	if d, err := describeRemote(t, host+"/"+spec.Destination.Repository+":"+spec.Destination.Tags[0], authn.Anonymous); err == nil {
		t.Errorf("%s was written under the tag", d.Digest)
	}
}

func wantRefused(t *testing.T, cache *rig.BazelRemote, spec *pushspec.Spec, class haul.Class, texts ...string) {
	t.Helper()
	_, err := faultyHauler(t, cache.GRPC).Haul(t.Context(), haul.Request{
		Spec: spec, Repository: spec.Destination.Repository, Tags: spec.Destination.Tags, Invocation: "e2e",
	})
	failed, ok := errors.AsType[*haul.Error](err)
	if !ok || failed.Class != class {
		t.Fatalf("got error %v, want one of class %s", err, class)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not say %q: %v", text, err)
		}
	}
}

func TestALayerOfOtherBytesIsNotTagged(t *testing.T) {
	t.Parallel()
	cache, target := rig.StartBazelRemote(t), rig.StartRegistry(t)
	layer := faultyNoise(5, 3<<20)
	spec := faultyImage(t, cache, target.Host, "acme/app", "v1", layer)
	// What the spec calls the layer is something else in the cache: bazel-remote
	// itself takes no wrong bytes, so the spec's digest is the wrong one.
	other := faultyNoise(6, 3<<20)
	victim := faultyImage(t, cache, target.Host, "acme/other", "v1", other)
	spec.Blobs[0].Sources = victim.Blobs[0].Sources
	wantRefused(t, cache, spec, haul.Malformed, spec.Blobs[0].Digest.String(), "rebuild")
	wantNothing(t, target.Host, spec)
}

func TestAManifestThatIsTooLargeIsNotTagged(t *testing.T) {
	t.Parallel()
	cache, target := rig.StartBazelRemote(t), rig.StartRegistry(t)
	// This registry takes manifests of up to 1 MiB.
	proxy := rig.StartProxy(t, target.Host)
	proxy.Break(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") && r.ContentLength > 1<<20 {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		next.ServeHTTP(w, r)
	})
	spec := faultyImage(t, cache, proxy.Host, "acme/app", "v1", []byte("layer"))
	swell(t, spec, 2<<20)
	check(t, spec.Validate())
	wantRefused(t, cache, spec, haul.Rejected, "manifest", "413")
	wantNothing(t, target.Host, spec)

	// One that no registry has to take is refused before anything is sent.
	swell(t, spec, 5<<20)
	data, err := json.Marshal(spec)
	check(t, err)
	if _, err := pushspec.Decode(data); err == nil || !strings.Contains(err.Error(), "manifests[0].data: has 6991290 bytes as it is written; the limit is 5592410") {
		t.Errorf("a manifest of 5 MiB is decoded with error %v", err)
	}
}

// swell makes the image's manifest larger than so many bytes.
func swell(t *testing.T, spec *pushspec.Spec, size int) {
	t.Helper()
	manifest, err := v1.ParseManifest(bytes.NewReader(spec.Manifests[0].Data))
	check(t, err)
	const most = 512 << 10 // of one text
	manifest.Annotations = map[string]string{}
	for left := size; left > 0; left -= most {
		manifest.Annotations[fmt.Sprint("note", left)] = strings.Repeat("x", min(left, most))
	}
	data, err := json.Marshal(manifest)
	check(t, err)
	digest, n, err := v1.SHA256(bytes.NewReader(data))
	check(t, err)
	spec.Manifests[0].Digest, spec.Manifests[0].Size, spec.Manifests[0].Data, spec.Root = digest, n, data, digest
}

func TestASpecOfTenThousandBlobsIsRefused(t *testing.T) {
	t.Parallel()
	cache, target := rig.StartBazelRemote(t), rig.StartRegistry(t)
	spec := faultyImage(t, cache, target.Host, "acme/app", "v1", []byte("layer"))
	one := spec.Blobs[0]
	for i := range 10_000 {
		digest, size, err := v1.SHA256(strings.NewReader(fmt.Sprint(i)))
		check(t, err)
		one.Digest, one.Size = digest, size
		one.Sources = []pushspec.Source{{CAS: digest.String()}}
		spec.Blobs = append(spec.Blobs, one)
	}
	data, err := json.Marshal(spec)
	check(t, err)
	if _, err := pushspec.Decode(data); err == nil || !strings.Contains(err.Error(), "blobs: has more than 4096 entries, which is the limit") {
		t.Errorf("the spec is decoded with error %v", err)
	}
	wantNothing(t, target.Host, spec)
}

func TestARegistryThatSendsElsewhereGetsNothing(t *testing.T) {
	t.Parallel()
	for kind, path := range map[string]string{"uploads": "/blobs/uploads/", "manifests": "/manifests/"} {
		t.Run(kind, func(t *testing.T) {
			cache, target := rig.StartBazelRemote(t), rig.StartRegistry(t)
			elsewhere := rig.StartProxy(t, target.Host)
			var sent atomic.Int64
			elsewhere.Break(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				sent.Add(1)
				next.ServeHTTP(w, r)
			})
			proxy := rig.StartProxy(t, target.Host)
			proxy.Break(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if (r.Method == http.MethodPost || r.Method == http.MethodPut) && strings.Contains(r.URL.Path, path) {
					http.Redirect(w, r, "http://"+elsewhere.Host+r.URL.Path, http.StatusTemporaryRedirect)
					return
				}
				next.ServeHTTP(w, r)
			})
			spec := faultyImage(t, cache, proxy.Host, "acme/app", "v1", []byte("layer"))
			wantRefused(t, cache, spec, haul.Rejected, elsewhere.Host, "own name")
			wantNothing(t, target.Host, spec)
			if sent.Load() > 0 {
				t.Errorf("%d requests were sent elsewhere", sent.Load())
			}
		})
	}
}
