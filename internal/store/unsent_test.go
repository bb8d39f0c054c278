package store

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFailedUploadsAddUpWithinALimit(t *testing.T) {
	var known Unsent
	known = known.merge(Unsent{Digests: []string{"a", "b"}, Code: "UNAVAILABLE"})
	known = known.merge(Unsent{})
	known = known.merge(Unsent{Digests: []string{"b", "c"}})
	if diff := cmp.Diff(Unsent{Digests: []string{"a", "b", "c"}, Code: "UNAVAILABLE"}, known); diff != "" {
		t.Error(diff)
	}
	for n := range 1000 {
		known = known.merge(Unsent{Digests: []string{fmt.Sprint(n)}, Code: "INTERNAL"})
	}
	if len(known.Digests) != maxUnsent || !known.More || known.Code != "INTERNAL" {
		t.Errorf("%d digests, more: %v, code %s", len(known.Digests), known.More, known.Code)
	}
}
