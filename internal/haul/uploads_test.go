package haul

import (
	"context"
	"errors"
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
		waiting = append(waiting, u.join(somewhere, origin{}))
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
	first, second := u.join(somewhere, origin{}), u.join(somewhere, origin{})
	if !first.tryBegin() || second.tryBegin() {
		t.Fatal("not one of two uploads")
	}
	first.end(nil)
	third := u.join(somewhere, origin{})
	if err := second.wait(t.Context()); err != nil || !second.tryBegin() || third.tryBegin() {
		t.Errorf("not one of two uploads after the first (error %v)", err)
	}
}

func TestAnUploadThatDoesNotBeginKeepsOthersForAWhileOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, began := newUploads(), time.Now()
		stuck, other := u.join(somewhere, origin{}), u.join(somewhere, origin{})
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
		slow, other := u.join(somewhere, origin{}), u.join(somewhere, origin{})
		slow.tryBegin()
		slow.flowing()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err := other.wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the wait ended with %v", err)
		}
	})
}

func TestAnOriginThatLacksABlobIsKnownToThoseWhoHaveTheSame(t *testing.T) {
	u := newUploads()
	cache := origin{instance: "main", sources: []pushspec.Source{{CAS: "sha256:1"}}}
	turns := map[string]*turn{
		"the same":         u.join(somewhere, cache),
		"another instance": u.join(somewhere, origin{instance: "other", sources: cache.sources}),
		"another source":   u.join(somewhere, origin{instance: "main", sources: []pushspec.Source{{Repository: "r.test/base"}}}),
	}
	first, refused := u.join(somewhere, cache), u.join(somewhere, cache)
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
