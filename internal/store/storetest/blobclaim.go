package storetest

import (
	"testing"

	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

func claimBlobs(t *testing.T, s *store.Store, digests ...string) store.BlobGrant {
	t.Helper()
	grant, err := s.ClaimBlobs(t.Context(), "r.test", digests)
	if err != nil {
		t.Fatal(err)
	}
	return grant
}

func releaseBlobs(t *testing.T, s *store.Store, repository string, digests ...string) {
	t.Helper()
	if err := s.ReleaseBlobs(t.Context(), "r.test", repository, digests); err != nil {
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
	hands.Begin(t, "alive") // the first daemon's session has begun
	if claimBlobs(t, first, "a", "b").Busy || claimBlobs(t, first, "b", "c").Busy {
		t.Fatal("a daemon's jobs keep each other from their blobs")
	}
	if !claimBlobs(t, second, "b", "d").Busy {
		t.Error("a blob is two daemons'")
	}
	releaseBlobs(t, first, "", "a", "b")
	if claimBlobs(t, second, "a").Busy {
		t.Error("a blob that did not arrive stays the first daemon's")
	}
	if !claimBlobs(t, second, "b").Busy {
		t.Error("a blob that another job of the first daemon is at became the second's")
	}
	releaseBlobs(t, first, "acme/app", "b", "c")
	if grant := claimBlobs(t, second, "b", "d"); grant.Busy || grant.Elsewhere["b"] != "acme/app" || grant.Elsewhere["d"] != "" {
		t.Errorf("the second daemon is granted %+v, want to hear where the blob is", grant)
	}
	if claimBlobs(t, first, "x").Busy {
		t.Fatal("an unknown blob is busy")
	}
	if !claimBlobs(t, second, "x").Busy {
		t.Error("a live daemon's blob is another's")
	}
	hands.Stop()
	if claimBlobs(t, second, "x").Busy {
		t.Error("a daemon that has left keeps its blobs")
	}
}

func aDaemonThatIsAloneIsGrantedEverything(t *testing.T, driver sqldbtest.Driver) {
	if driver.Shared {
		t.Skip("this kind of database has many daemons")
	}
	s := Open(t, driver, store.Options{})
	for range 2 {
		if claimBlobs(t, s, "a").Busy {
			t.Error("a blob is busy where there is nobody else")
		}
	}
	releaseBlobs(t, s, "acme/app", "a")
}
