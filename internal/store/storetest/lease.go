package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

const (
	// shortLease is a lease whose end a test can wait for.
	shortLease = 400 * time.Millisecond
	// steadyLease is one that is renewed in time, however busy the machine is.
	steadyLease = 2 * time.Second
)

// free waits until a daemon is granted blobs.
func free(t *testing.T, s *store.Store, digests ...string) {
	t.Helper()
	began := time.Now()
	for busy(t, s, store.Attempt{}, digests...) {
		if time.Since(began) > beginLimit {
			t.Fatalf("the blobs are another daemon's after %s", beginLimit)
		}
	}
}

func aClaimThatNobodyRenewsEndsWithItsLease(t *testing.T, driver sqldbtest.Driver) {
	if !driver.Shared {
		t.Skip("this kind of database has one daemon")
	}
	url := driver.Migrated(t)
	first, second := OpenAt(t, url, store.Options{Lease: shortLease}), OpenAt(t, url, store.Options{Lease: shortLease})
	began := time.Now()
	if busy(t, first, store.Attempt{}, "a") {
		t.Fatal("an unknown blob is busy")
	}
	free(t, second, "a")
	if held := time.Since(began); held < shortLease {
		t.Errorf("the claim ended after %s of %s", held, shortLease)
	}
}

func aClaimIsRenewedWhileItsHolderGetsOn(t *testing.T, driver sqldbtest.Driver) {
	if !driver.Shared {
		t.Skip("this kind of database has one daemon")
	}
	url := driver.Migrated(t)
	first, second := OpenAt(t, url, store.Options{Lease: steadyLease}), OpenAt(t, url, store.Options{Lease: steadyLease})
	Run(t, first, Pushed) // a daemon that runs renews
	claim := func(digest string, limit time.Duration, getsOn func() bool) {
		t.Helper()
		_, err := first.ClaimBlobs(t.Context(), store.Attempt{}, store.BlobClaim{Registry: "r.test", Digests: []string{digest}, Limit: limit, GetsOn: getsOn})
		if err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	claim("held", time.Hour, nil)
	claim("limited", 2*steadyLease, func() bool { return true })
	claim("stuck", time.Hour, func() bool { return false })
	free(t, second, "stuck")
	if held := time.Since(began); held < steadyLease {
		t.Errorf("the claim of a run that does not get on ended after %s of %s", held, steadyLease)
	}
	free(t, second, "limited")
	if held := time.Since(began); held < 2*steadyLease {
		t.Errorf("the claim that may be renewed for %s ended after %s", 2*steadyLease, held)
	}
	for time.Since(began) < 3*steadyLease {
		if !busy(t, second, store.Attempt{}, "held") {
			t.Fatalf("the claim ended after %s, and its holder still works", time.Since(began))
		}
	}
	release(t, first, store.Attempt{}, "", "held")
	free(t, second, "held")
}

func aLeaseOfTagsIsRenewedWhileItsRunLasts(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{Lease: steadyLease})
	h := NewHands(t, s)
	first, second := h.Begin(t, "first"), h.Begin(t, "second")
	began := time.Now()
	grant, err := s.ClaimTags(t.Context(), first, claimOf("first", monday, "latest"))
	if err != nil {
		t.Fatal(err)
	}
	for time.Since(began) < 2*steadyLease {
		if _, err := s.ClaimTags(t.Context(), second, claimOf("second", monday, "latest")); !isPostponed(err) {
			t.Fatalf("after %s the error is %v, want a postponement", time.Since(began), err)
		}
	}
	select {
	case <-grant.Lease.Ended():
		t.Error("the lease ended for its holder alone")
	default:
	}
	h.End(t, first, ledger.Entry{Outcome: ledger.Failed})
	if grant, err := s.ClaimTags(t.Context(), second, claimOf("second", monday, "latest")); err != nil || len(grant.Tags) != 1 {
		t.Errorf("grant %+v, error %v; want the tag", grant, err)
	}
}

func whoWaitsForATagHearsWhenItsHolderEnds(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	h := NewHands(t, s)
	first, second := h.Begin(t, "first"), h.Begin(t, "second")
	if _, err := s.ClaimTags(t.Context(), first, claimOf("first", monday, "latest")); err != nil {
		t.Fatal(err)
	}
	_, err := s.ClaimTags(t.Context(), second, claimOf("second", tuesday, "latest"))
	postponed, ok := errors.AsType[*store.PostponeError](err)
	if !ok || postponed.Freed == nil {
		t.Fatalf("the error is %v, want a postponement that tells of its end", err)
	}
	select {
	case <-postponed.Freed:
		t.Error("the tag is free while its holder works")
	default:
	}
	h.End(t, first, ledger.Entry{Outcome: ledger.Pushed})
	select {
	case <-postponed.Freed:
	case <-time.After(beginLimit):
		t.Fatal("nobody said that the tag is free")
	}
	if grant, err := s.ClaimTags(t.Context(), second, claimOf("second", tuesday, "latest")); err != nil || len(grant.Tags) != 1 {
		t.Errorf("grant %+v, error %v; want the tag", grant, err)
	}
}

func isPostponed(err error) bool {
	_, postponed := errors.AsType[*store.PostponeError](err)
	return postponed
}
