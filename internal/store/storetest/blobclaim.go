package storetest

import (
	"errors"
	"testing"

	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

// blobs are a claim of blobs of one registry.
func blobs(digests ...string) store.BlobClaim {
	return store.BlobClaim{Registry: "r.test", Digests: digests}
}

// busy claims blobs and tells whether another daemon has one of them.
func busy(t *testing.T, s *store.Store, attempt store.Attempt, digests ...string) bool {
	t.Helper()
	_, err := s.ClaimBlobs(t.Context(), attempt, blobs(digests...))
	if _, postponed := errors.AsType[*store.PostponeError](err); err != nil && !postponed {
		t.Fatal(err)
	}
	return err != nil
}

func release(t *testing.T, s *store.Store, attempt store.Attempt, repository string, digests ...string) {
	t.Helper()
	if err := s.ReleaseBlobs(t.Context(), attempt, blobs(digests...), repository); err != nil {
		t.Fatal(err)
	}
}

func aBlobIsOneDaemonsToUpload(t *testing.T, driver sqldbtest.Driver) {
	if !driver.Shared {
		t.Skip("this kind of database has one daemon")
	}
	url := driver.Migrated(t)
	first, second := OpenAt(t, url, store.Options{}), OpenAt(t, url, store.Options{})
	hands := NewHands(t, first)
	one, two, other := hands.Begin(t, "one"), hands.Begin(t, "two"), store.Attempt{}
	if busy(t, first, one, "a", "b") || busy(t, first, two, "b", "c") {
		t.Fatal("a daemon's jobs keep each other from their blobs")
	}
	if !busy(t, second, other, "b", "d") {
		t.Error("a blob is two daemons'")
	}
	for range 2 { // the second time changes nothing
		release(t, first, one, "", "a", "b")
	}
	if busy(t, second, other, "a") {
		t.Error("a blob that did not arrive stays the first daemon's")
	}
	if !busy(t, second, other, "b") {
		t.Error("a blob that another job of the first daemon is at became the second's")
	}
	release(t, first, two, "acme/app", "b", "c")
	grant, err := second.ClaimBlobs(t.Context(), other, blobs("b", "d"))
	if err != nil || grant.Elsewhere["b"] != "acme/app" || grant.Elsewhere["d"] != "" {
		t.Errorf("the second daemon is granted %+v, error %v; want to hear where the blob is", grant, err)
	}
	if busy(t, first, one, "x") {
		t.Fatal("an unknown blob is busy")
	}
	if !busy(t, second, other, "x") {
		t.Error("a live daemon's blob is another's")
	}
	hands.Stop()
	if busy(t, second, other, "x") {
		t.Error("a daemon that has left keeps its blobs")
	}
}

func aDaemonThatIsAloneIsGrantedEverything(t *testing.T, driver sqldbtest.Driver) {
	if driver.Shared {
		t.Skip("this kind of database has many daemons")
	}
	s := Open(t, driver, store.Options{})
	for range 2 {
		if busy(t, s, store.Attempt{}, "a") {
			t.Error("a blob is busy where there is nobody else")
		}
	}
	release(t, s, store.Attempt{}, "acme/app", "a")
}
