package rig

import (
	"path/filepath"

	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

// StartPostgres starts a private PostgreSQL cluster, and returns the URL of an
// empty database in it as drayaged's store names it.
func StartPostgres(t T) string {
	t.Helper()
	_, url := StartCluster(t, sqldbtest.Options{})
	return url
}

// StartCluster is [StartPostgres] for tests that stop the cluster, or ask its database
// themselves.
func StartCluster(t T, options sqldbtest.Options) (cluster *sqldbtest.Cluster, url string) {
	t.Helper()
	options.Bin = filepath.Dir(Tool(t, "initdb"))
	cluster, err := sqldbtest.Start(t.Context(), options)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Errorf("%v", err)
		}
	})
	url, err = cluster.NewDatabase(t.Context(), "")
	if err != nil {
		t.Fatalf("%v", err)
	}
	return cluster, url
}
