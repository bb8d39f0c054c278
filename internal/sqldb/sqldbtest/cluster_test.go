package sqldbtest

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestAClusterComesAndGoes(t *testing.T) {
	c, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	template := ""
	for range 2 { // an empty database, and a copy of it
		if template, err = c.NewDatabase(t.Context(), template); err != nil {
			t.Fatal(err)
		}
		conn, err := pgx.Connect(t.Context(), template)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(c.dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
	if _, err := pgx.Connect(t.Context(), c.URL("postgres")); err == nil {
		t.Error("the server still answers")
	}
}

func TestAMissingProgramIsNamed(t *testing.T) {
	t.Setenv(binEnv, t.TempDir())
	if path, err := find(binFolder(), "initdb"); err == nil {
		t.Errorf("found %s in an empty folder", path)
	}
}
