package haul

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/drayage/pushspec"
)

var somewhere = place{registry: "r.test"}

func TestNobodyWaitsForMoreThanFourOfFifteenThatFail(t *testing.T) {
	f := newFlights()
	var waiting []*ticket
	for range 16 {
		waiting = append(waiting, f.join(somewhere, origin{}))
	}
	for round := 0; len(waiting) > 0; round++ {
		if round > 4 {
			t.Fatalf("%d have waited for four others", len(waiting))
		}
		var left, flying []*ticket
		for _, ticket := range waiting {
			if ticket.tryFly() {
				flying = append(flying, ticket)
			} else {
				left = append(left, ticket)
			}
		}
		for _, ticket := range flying {
			ticket.land(errors.New("refused"))
			ticket.leave()
		}
		waiting = left
	}
	if len(f.going) > 0 {
		t.Error("the place is remembered with nobody there")
	}
}

func TestOneFliesWhileNothingFails(t *testing.T) {
	f := newFlights()
	first, second := f.join(somewhere, origin{}), f.join(somewhere, origin{})
	if !first.tryFly() || second.tryFly() {
		t.Fatal("not one of two flies")
	}
	first.land(nil)
	third := f.join(somewhere, origin{})
	if err := second.wait(t.Context()); err != nil || !second.tryFly() || third.tryFly() {
		t.Errorf("not one of two flies after the first (error %v)", err)
	}
}

func TestAnUploadThatDoesNotBeginKeepsOthersForAWhileOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, began := newFlights(), time.Now()
		stuck, other := f.join(somewhere, origin{}), f.join(somewhere, origin{})
		if !stuck.tryFly() {
			t.Fatal("the first may not fly")
		}
		for !other.tryFly() {
			if err := other.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(began); waited != takeoff {
			t.Errorf("the other waited for %s", waited)
		}
	})
}

func TestAnUploadWhoseBytesMoveIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlights()
		slow, other := f.join(somewhere, origin{}), f.join(somewhere, origin{})
		slow.tryFly()
		slow.takesOff()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err := other.wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the wait ended with %v", err)
		}
	})
}

func TestAnOriginThatLacksABlobIsKnownToThoseWhoHaveTheSame(t *testing.T) {
	f := newFlights()
	cache := origin{instance: "main", sources: []pushspec.Source{{CAS: "sha256:1"}}}
	tickets := map[string]*ticket{
		"the same":         f.join(somewhere, cache),
		"another instance": f.join(somewhere, origin{instance: "other", sources: cache.sources}),
		"another source":   f.join(somewhere, origin{instance: "main", sources: []pushspec.Source{{Repository: "r.test/base"}}}),
	}
	first, refused := f.join(somewhere, cache), f.join(somewhere, cache)
	first.tryFly()
	first.land(&Error{Class: Evicted})
	refused.tryFly()
	refused.land(&Error{Class: Denied})
	for name, ticket := range tickets {
		if !ticket.tryFly() {
			t.Fatal("it may not fly")
		}
		if want := name == "the same"; ticket.gone != want {
			t.Errorf("%s: the blob is gone: %t", name, ticket.gone)
		}
	}
}
