package sqldb_test

import (
	"strings"
	"testing"
	"time"

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

func TestADaemonIsAliveAsLongAsItBeats(t *testing.T) {
	sqldbtest.EachShared(t, func(t *testing.T, driver sqldbtest.Driver) {
		db := driver.Open(t, sqldb.Options{StallLimit: time.Minute})
		session, err := db.Session(t.Context(), "beats")
		if err != nil {
			t.Fatal(err)
		}
		alive := func(name string) (yes bool) {
			t.Helper()
			_, err := sqldb.QueryRow(t.Context(), db.Read(), `SELECT `+db.Dialect().Alive("n.name")+` FROM (SELECT CAST(? AS TEXT) AS name) n`, []any{name}, &yes)
			if err != nil {
				t.Fatal(err)
			}
			return yes
		}
		if !alive("beats") {
			t.Error("a daemon that beats is taken for dead")
		}
		if alive("unknown") {
			t.Error("a daemon that never beat is taken for alive")
		}
		session.Close()
		if alive("beats") {
			t.Error("a daemon that has left is taken for alive")
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
