package rig

import (
	"path/filepath"

	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

// StartPostgres starts a private PostgreSQL cluster, and returns the URL of an
// empty database in it as drayaged's store names it.
func StartPostgres(t T) string {
	t.Helper()
	cluster, err := sqldbtest.Start(t.Context(), sqldbtest.Options{Bin: filepath.Dir(Tool(t, "initdb"))})
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Errorf("%v", err)
		}
	})
	url, err := cluster.NewDatabase(t.Context(), "")
	if err != nil {
		t.Fatalf("%v", err)
	}
	return url
}
