package store

import (
	"context"
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
	cluster, err := postgres()
	if err != nil {
		return nil // whoever needed it has said so
	}
	return cluster.Stop()
}

// onEach runs a test on every kind of database.
func onEach(t *testing.T, test func(t *testing.T, db place)) {
	for _, db := range []place{
		{"sqlite", func(t *testing.T) string { return filepath.Join(t.TempDir(), "drayage.db") }},
		{"postgres", func(t *testing.T) string {
			postgresUsed = true
			cluster, err := postgres()
			if err != nil {
				t.Fatal(err)
			}
			return cluster.Database(t)
		}},
	} {
		t.Run(db.name, func(t *testing.T) { test(t, db) })
	}
}

// open opens a store in a new database.
func (p place) open(t *testing.T, options Options) *Store {
	t.Helper()
	return p.openAt(t, p.url(t), options)
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
