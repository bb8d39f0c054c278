package sqldb_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

func TestOneOfManyDaemonsIsTheKeeper(t *testing.T) {
	sqldbtest.EachShared(t, func(t *testing.T, driver sqldbtest.Driver) {
		db := driver.Open(t, sqldb.Options{})
		join := func(name string) sqldb.Session {
			session, err := db.Session(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			return session
		}
		keeps := func(session sqldb.Session) bool {
			t.Helper()
			keeper, err := session.Beat(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return keeper
		}
		first, second := join("first"), join("second")
		defer second.Close()
		if !keeps(first) || keeps(second) {
			t.Fatal("the first daemon is not the keeper, or the second one is")
		}
		first.Close()
		if !keeps(second) {
			t.Error("nobody is the keeper after the first daemon has left")
		}
	})
}

func TestADaemonKnowsTheDatabasesClock(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		db := driver.Open(t, sqldb.Options{})
		began := time.Now()
		session, err := db.Session(t.Context(), "clock")
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		// Both are this machine's: all that may be measured is what the question took.
		if ahead, limit := session.Clock().Abs(), time.Since(began); ahead > limit {
			t.Errorf("the database's clock is taken to be %s off after %s", ahead, limit)
		}
	})
}

func TestADaemonThatHasAFileForItselfIsAlwaysTheKeeper(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		if driver.Shared {
			return
		}
		db := driver.Open(t, sqldb.Options{})
		session, err := db.Session(t.Context(), "only")
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		if keeper, err := session.Beat(t.Context()); err != nil || !keeper {
			t.Errorf("keeper: %v, error %v", keeper, err)
		}
	})
}

func TestAnUnreadableURLDoesNotTellItsPassword(t *testing.T) {
	_, err := sqldb.Open(t.Context(), "postgres://user:secret@host:notaport/db", sqldb.Options{})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("open = %v, want an error without the password", err)
	}
}

func TestAReadDoesNotMindThatTheServerHasRestarted(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs a database server")
	}
	cluster, err := sqldbtest.Start(t.Context(), sqldbtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	}()
	url, err := cluster.NewDatabase(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	db := open(t, url)
	read := func() error {
		return db.Read().Query(t.Context(), `SELECT COUNT(*) FROM daemon, pg_sleep(0.1)`, nil, func(sqldb.Scan) error { return nil })
	}
	var many errgroup.Group
	for range 8 { // as many as make the pool open all that it may
		many.Go(read)
	}
	if err := many.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Crash(); err != nil {
		t.Fatal(err)
	}
	if read() == nil {
		t.Error("a server that is away answers")
	}
	if err := cluster.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		if err := read(); err != nil {
			t.Errorf("a read after the restart: %v", err)
		}
	}
}
