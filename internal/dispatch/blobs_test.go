package dispatch_test

import (
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/dispatch"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/pushspec"
)

// layered is a world whose spec has a layer in the cache.
func layered(t *testing.T) (w *world, layer string) {
	t.Helper()
	return layeredOf(t, types.OCILayer, func(digest string) pushspec.Source { return pushspec.Source{CAS: digest} })
}

func layeredOf(t *testing.T, mediaType types.MediaType, source func(digest string) pushspec.Source) (w *world, layer string) {
	t.Helper()
	w, _ = newWorld(t, "latest")
	config, blob := describe(types.OCIConfigJSON, "{}"), describe(mediaType, "layer")
	blob.Data = nil
	layer = blob.Digest.String()
	manifest := describe(types.OCIManifestSchema1, `{"schemaVersion":2,"mediaType":"`+string(types.OCIManifestSchema1)+
		`","config":{"mediaType":"`+string(types.OCIConfigJSON)+`","size":2,"digest":"`+config.Digest.String()+
		`"},"layers":[{"mediaType":"`+string(mediaType)+`","size":5,"digest":"`+layer+`"}]}`)
	data, err := (&pushspec.Spec{
		SchemaVersion: 1, MediaType: pushspec.MediaType, Target: "@@//app:push",
		Destination: pushspec.Destination{Registry: "ghcr.io", Repository: "acme/app", Tags: []string{"latest"}},
		Root:        manifest.Digest,
		Manifests:   []v1.Descriptor{manifest},
		Blobs:       []pushspec.Blob{{Descriptor: config}, {Descriptor: blob, Sources: []pushspec.Source{source(layer)}}},
	}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	w.spec = data
	return w, layer
}

func TestABlobThatAnotherDaemonUploadsIsWaitedForAndMounted(t *testing.T) {
	w, layer := layered(t)
	w.busy, w.elsewhere = 2, map[string]string{layer: "acme/base"}
	if _, err := w.work(t, 1); err != nil {
		t.Fatal(err)
	}
	if want := (dispatch.BlobClaim{Registry: "ghcr.io", Digests: []string{layer}}); !reflect.DeepEqual(w.claimed, want) || w.busy != 0 {
		t.Errorf("claimed %q, with %d refusals left; want %q, until it is granted", w.claimed, w.busy, want)
	}
	if from := w.blobs.Elsewhere[layer]; from != "acme/base" {
		t.Errorf("the layer can be mounted from %q, want the other daemon's repository", from)
	}
	// What another daemon did is no leave to read there.
	if sources := w.request.Spec.Blobs[1].Sources; len(sources) != 1 {
		t.Errorf("the layer's sources are %+v, want those of the spec", sources)
	}
	if w.released == nil || *w.released != "acme/app" {
		t.Errorf("the claim ended with %v, want the repository that has the blobs", w.released)
	}
}

func TestBlobsThatDidNotArriveAreAnybodysAgain(t *testing.T) {
	w, _ := layered(t)
	w.haulErr = &haul.Error{Class: haul.Unavailable, Text: "the registry is away"}
	if _, err := w.work(t, 1); err == nil {
		t.Fatal("the attempt did not fail")
	}
	if w.released == nil || *w.released != "" {
		t.Errorf("the claim ended with %v, want no repository", w.released)
	}
}

func TestThePolicyIsNotAskedForALayerThatIsNotToBeDistributed(t *testing.T) {
	w, _ := layeredOf(t, types.OCIRestrictedLayer, func(string) pushspec.Source { return pushspec.Source{Repository: "mcr.example/windows"} })
	if _, err := w.work(t, 1); err != nil {
		t.Fatal(err)
	}
	if len(w.push.Sources) != 0 {
		t.Errorf("the policy was asked for %v", w.push.Sources)
	}
}

func TestABlobThatAnotherDaemonIsAtForTooLongIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := layered(t)
		w.busy = 1 << 30
		began := time.Now()
		if _, err := w.work(t, 1); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited < 15*time.Second || waited > 25*time.Second {
			t.Errorf("another daemon was waited for for %s", waited)
		}
		if w.request.Spec == nil {
			t.Error("the image was not hauled")
		}
		if w.released != nil {
			t.Errorf("a claim ended that was never had, with %q", *w.released)
		}
	})
}

func TestOneDaemonAtATimeWritesAnIndexOfReferrers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := layered(t)
		if _, err := w.work(t, 1); err != nil {
			t.Fatal(err)
		}
		subject := describe(types.OCIManifestSchema1, "subject").Digest
		for _, busy := range []int{3, 1 << 30} {
			w.busy, w.released = busy, nil
			began := time.Now()
			claim, err := w.request.Claims.ClaimReferrers(t.Context(), subject)
			if err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(began); waited > 25*time.Second {
				t.Errorf("another daemon was waited for for %s", waited)
			}
			if granted := claim.Release != nil; granted != (busy == 3) {
				t.Errorf("after %d refusals the index is granted: %t", busy, granted)
			}
			if busy != 3 {
				continue
			}
			claim.Release(true)
			if digests := w.claimed.Digests; len(digests) != 1 || !strings.Contains(digests[0], "acme/app@"+subject.String()) || w.released == nil || *w.released != "" {
				t.Errorf("claimed %q, released %v", w.claimed, w.released)
			}
		}
	})
}

// A client cannot have a layer of a repository that it may not read copied to one that
// it may.
func TestABlobIsMountedFromWhereTheClientMayReadOrWrite(t *testing.T) {
	w, _ := layered(t)
	if _, err := w.work(t, 1); err != nil {
		t.Fatal(err)
	}
	policy, err := admission.New(admission.Policy{Rules: []admission.Rule{
		{Name: "own", Clients: []string{"token:ci"}, Repositories: []string{"ghcr.io/acme/*"}, Sources: []string{"ghcr.io/base/*"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.admit = func(push admission.Push) error {
		push.Client = "token:ci"
		_, err := policy.Admit(push)
		return err
	}
	for repository, want := range map[string]bool{"acme/other": true, "base/debian": true, "secret/app": false} {
		if got := w.request.MayMount(repository); got != want {
			t.Errorf("from %s: %t, want %t", repository, got, want)
		}
	}
}
