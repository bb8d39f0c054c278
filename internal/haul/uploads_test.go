package haul

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/drayage/pushspec"
)

var somewhere = digestAt{address: address{registry: "r.test"}}

func TestNobodyWaitsForMoreThanFourOfFifteenThatFail(t *testing.T) {
	u := newUploads()
	var waiting []*turn
	for range 16 {
		waiting = append(waiting, u.join(somewhere, sender{}))
	}
	for round := 0; len(waiting) > 0; round++ {
		if round > 4 {
			t.Fatalf("%d have waited for four others", len(waiting))
		}
		var left, uploading []*turn
		for _, turn := range waiting {
			if turn.tryBegin() {
				uploading = append(uploading, turn)
			} else {
				left = append(left, turn)
			}
		}
		for _, turn := range uploading {
			turn.end(errors.New("refused"))
			turn.leave()
		}
		waiting = left
	}
	if len(u.blobs) > 0 {
		t.Error("the blob is remembered, and nobody needs it")
	}
}

func TestOneUploadsWhileNothingFails(t *testing.T) {
	u := newUploads()
	first, second := u.join(somewhere, sender{}), u.join(somewhere, sender{})
	if !first.tryBegin() || second.tryBegin() {
		t.Fatal("not one of two uploads")
	}
	first.end(nil)
	third := u.join(somewhere, sender{})
	if err := second.wait(t.Context()); err != nil || !second.tryBegin() || third.tryBegin() {
		t.Errorf("not one of two uploads after the first (error %v)", err)
	}
}

func TestAnUploadThatDoesNotBeginKeepsOthersForAWhileOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, began := newUploads(), time.Now()
		stuck, other := u.join(somewhere, sender{}), u.join(somewhere, sender{})
		if !stuck.tryBegin() {
			t.Fatal("the first may not upload")
		}
		for !other.tryBegin() {
			if err := other.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(began); waited != startLimit {
			t.Errorf("the other waited for %s", waited)
		}
	})
}

func TestAnUploadWhoseBytesMoveIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUploads()
		slow, other := u.join(somewhere, sender{}), u.join(somewhere, sender{})
		slow.tryBegin()
		slow.flowing()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err := other.wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the wait ended with %v", err)
		}
	})
}

// What comes to a repository that somebody may not have blobs from is no use to them, and
// need not be waited for.
func TestWhoGainsNothingFromAnUploadDoesNotWaitForIt(t *testing.T) {
	may := func(allowed ...string) func(string) bool {
		return func(repository string) bool { return slices.Contains(allowed, repository) }
	}
	for name, row := range map[string]struct {
		second sender
		waits  bool
	}{
		"without a policy":               {sender{client: "b", repository: "b"}, true},
		"of another repository":          {sender{client: "b", repository: "b", mayMount: may()}, false},
		"of a repository that it may":    {sender{client: "b", repository: "b", mayMount: may("a")}, true},
		"of the same repository":         {sender{client: "b", repository: "a", mayMount: may()}, true},
		"of the same client":             {sender{client: "a", repository: "b", mayMount: may()}, true},
		"of a repository beside its own": {sender{client: "b", repository: "b", mayMount: may("b")}, false},
	} {
		u := newUploads()
		first, second := u.join(somewhere, sender{client: "a", repository: "a", mayMount: may()}), u.join(somewhere, row.second)
		if !first.tryBegin() {
			t.Fatal("the first may not upload")
		}
		if waits := !second.tryBegin(); waits != row.waits {
			t.Errorf("%s: it waits: %t, want %t", name, waits, row.waits)
		}
	}
}

func TestAnOriginThatLacksABlobIsKnownToThoseWhoHaveTheSame(t *testing.T) {
	u := newUploads()
	cache := origin{instance: "main", sources: []pushspec.Source{{CAS: "sha256:1"}}}
	turns := map[string]*turn{
		"the same":         u.join(somewhere, sender{origin: cache}),
		"another instance": u.join(somewhere, sender{origin: origin{instance: "other", sources: cache.sources}}),
		"another source":   u.join(somewhere, sender{origin: origin{instance: "main", sources: []pushspec.Source{{Repository: "r.test/base"}}}}),
	}
	first, refused := u.join(somewhere, sender{origin: cache}), u.join(somewhere, sender{origin: cache})
	first.tryBegin()
	first.end(&Error{Class: Evicted})
	refused.tryBegin()
	refused.end(&Error{Class: Denied})
	for name, turn := range turns {
		if !turn.tryBegin() {
			t.Fatal("it may not upload")
		}
		if want := name == "the same"; turn.gone != want {
			t.Errorf("%s: the blob is gone: %t", name, turn.gone)
		}
	}
}
