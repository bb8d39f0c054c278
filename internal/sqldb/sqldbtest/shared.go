package sqldbtest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/drayage/drayage/internal/sqldb"
)

// used says that this process has started a cluster, so that the end of the tests
// does not start one to stop it.
var used bool

// shared is the cluster of this test process, from the first test on that needs
// it.
var shared = sync.OnceValues(func() (*Cluster, error) {
	used = true
	return Start(context.Background(), Options{})
})

// template is a database that has the schema, to make copies of: on PostgreSQL
// the migrations take longer than most tests.
var template = sync.OnceValues(func() (string, error) {
	cluster, err := shared()
	if err != nil {
		return "", err
	}
	ctx := context.Background()
	url, err := cluster.NewDatabase(ctx, "")
	if err != nil {
		return "", err
	}
	db, err := sqldb.Open(ctx, url, sqldb.Options{})
	if err != nil {
		return "", err
	}
	db.Close()
	return url, nil
})

// Main is the TestMain of a package whose tests use [Drivers]. It ends the cluster
// that they started.
func Main(m *testing.M) {
	code := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func stop() error {
	if !used {
		return nil
	}
	cluster, err := shared()
	if err != nil {
		return nil //nolint:nilerr // whoever needed it has said so
	}
	return cluster.Stop()
}
