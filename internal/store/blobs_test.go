package store

import (
	"context"
	"testing"

	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

func TestABlobIsOneDaemonsToUpload(t *testing.T) {
	sqldbtest.EachShared(t, func(t *testing.T, driver sqldbtest.Driver) {
		url := driver.Empty(t)
		first, second := openAt(t, url, Options{}), openAt(t, url, Options{})
		session, err := first.db.Session(t.Context(), first.name)
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		if _, err := session.Beat(t.Context()); err != nil {
			t.Fatal(err)
		}
		claim := func(s *Store, digests ...string) BlobGrant {
			t.Helper()
			grant, err := s.ClaimBlobs(t.Context(), "r.test", digests)
			if err != nil {
				t.Fatal(err)
			}
			return grant
		}
		release := func(s *Store, repository string, digests ...string) {
			t.Helper()
			if err := s.ReleaseBlobs(t.Context(), "r.test", repository, digests); err != nil {
				t.Fatal(err)
			}
		}
		if claim(first, "a", "b").Busy || claim(first, "b", "c").Busy {
			t.Fatal("a daemon's jobs keep each other from their blobs")
		}
		if !claim(second, "b", "d").Busy {
			t.Error("a blob is two daemons'")
		}
		release(first, "", "a", "b")
		if claim(second, "a").Busy {
			t.Error("a blob that did not arrive stays the first daemon's")
		}
		if !claim(second, "b").Busy {
			t.Error("a blob that another job of the first daemon is at became the second's")
		}
		release(first, "acme/app", "b", "c")
		if grant := claim(second, "b", "d"); grant.Busy || grant.Elsewhere["b"] != "acme/app" || grant.Elsewhere["d"] != "" {
			t.Errorf("the second daemon is granted %+v, want to hear where the blob is", grant)
		}
		if claim(first, "x").Busy {
			t.Fatal("an unknown blob is busy")
		}
		if !claim(second, "x").Busy {
			t.Error("a live daemon's blob is another's")
		}
		err = second.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error {
			_, err := tx.Exec(ctx, `DELETE FROM daemon WHERE id = ?`, first.name)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if claim(second, "x").Busy {
			t.Error("a daemon that is gone keeps its blobs")
		}
	})
}

func TestADaemonThatIsAloneIsGrantedEverything(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		if driver.Shared {
			return
		}
		s := open(t, driver, Options{})
		for range 2 {
			if grant, err := s.ClaimBlobs(t.Context(), "r.test", []string{"a"}); err != nil || grant.Busy {
				t.Errorf("granted %+v, %v", grant, err)
			}
		}
		if err := s.ReleaseBlobs(t.Context(), "r.test", "acme/app", []string{"a"}); err != nil {
			t.Error(err)
		}
	})
}
