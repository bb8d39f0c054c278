package store

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/drayage/drayage/internal/store/storetest"
)

// place is a kind of database to run a test on.
type place struct {
	name string
	// url makes an empty database.
	url func(t *testing.T) string
}

// postgres is the cluster of this test process, from the first test on that
// needs it.
var postgres = sync.OnceValues(func() (*storetest.Cluster, error) {
	return storetest.Start(context.Background(), storetest.Options{})
})

// postgresUsed keeps the end of the tests from starting a cluster to stop it.
var postgresUsed bool

// stopPostgres ends the cluster if there is one.
func stopPostgres() error {
	if !postgresUsed {
		return nil
	}
	if cluster, err := postgres(); err == nil { // else whoever needed it has said so
		return cluster.Stop()
	}
	return nil
}

// migrated is a database that has the schema, to make copies of: on PostgreSQL
// the migrations take longer than most tests.
var migrated = sync.OnceValues(func() (string, error) {
	cluster, err := postgres()
	if err != nil {
		return "", err
	}
	ctx := context.Background()
	url, err := cluster.NewDatabase(ctx, "")
	if err != nil {
		return "", err
	}
	s, err := Open(ctx, url, Options{})
	if err != nil {
		return "", err
	}
	// Each copy makes a key of its own.
	return url, errors.Join(s.db.write(ctx, func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, `DELETE FROM log_key`)
		return err
	}), s.Close())
})

// places are the kinds of database.
func places() []place {
	return []place{
		{"sqlite", func(t *testing.T) string { return filepath.Join(t.TempDir(), "drayage.db") }},
		{"postgres", func(t *testing.T) string {
			postgresUsed = true
			cluster, err := postgres()
			if err != nil {
				t.Fatal(err)
			}
			url, err := cluster.NewDatabase(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			return url
		}},
	}
}

// onEach runs a test on every kind of database.
func onEach(t *testing.T, test func(t *testing.T, db place)) {
	for _, db := range places() {
		t.Run(db.name, func(t *testing.T) { test(t, db) })
	}
}

// on runs a test on one kind of database.
func on(t *testing.T, name string, test func(t *testing.T, db place)) {
	for _, db := range places() {
		if db.name == name {
			test(t, db)
		}
	}
}

// open opens a store in a new database.
func (p place) open(t *testing.T, options Options) *Store {
	t.Helper()
	if p.name != "postgres" {
		return p.openAt(t, p.url(t), options)
	}
	postgresUsed = true
	template, err := migrated()
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	url, err := cluster.NewDatabase(t.Context(), template)
	if err != nil {
		t.Fatal(err)
	}
	return p.openAt(t, url, options)
}

// openAt opens a store, and closes it when the test ends.
func (p place) openAt(t *testing.T, url string, options Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, quiet(t, options))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
