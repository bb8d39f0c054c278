package dispatch_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/haul"
)

func TestABlobThatAnotherDaemonUploadsIsWaitedForAndMounted(t *testing.T) {
	w, layer := layered(t)
	w.busy, w.elsewhere = 2, map[string]string{layer: "acme/base"}
	if _, err := w.work(t, 1); err != nil {
		t.Fatal(err)
	}
	if w.claimed.Registry != "ghcr.io" || !slices.Equal(w.claimed.Digests, []string{layer}) || w.busy != 0 {
		t.Errorf("claimed %q of %s, with %d refusals left; want %q, until it is granted", w.claimed.Digests, w.claimed.Registry, w.busy, layer)
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

func TestABlobThatAnotherDaemonIsAtForTooLongIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := layered(t)
		w.busy = 1 << 30
		began := time.Now()
		if _, err := w.work(t, 1); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited < time.Minute || waited > 2*time.Minute {
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
			if waited := time.Since(began); waited > 2*time.Minute {
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
				t.Errorf("claimed %q, released %v", w.claimed.Digests, w.released)
			}
		}
	})
}
