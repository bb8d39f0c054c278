package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestANewerSchemaIsRefused(t *testing.T) {
	for name, statement := range map[string]string{
		"the ledger":    `INSERT INTO drayage_schema (version_id, is_applied) VALUES (9999, TRUE)`,
		"the job queue": `INSERT INTO river_migration (line, version) VALUES ('main', 9999)`,
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, db place) {
				url := db.url(t)
				s, err := Open(t.Context(), url, quiet(t, Options{}))
				if err != nil {
					t.Fatal(err)
				}
				err = s.db.write(t.Context(), func(ctx context.Context, tx conn) error {
					_, err := tx.exec(ctx, statement)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				_, err = Open(t.Context(), url, quiet(t, Options{}))
				var newer *NewerSchemaError
				if !errors.As(err, &newer) || newer.What != name || newer.Found != 9999 {
					t.Errorf("open = %v, want a refusal of version 9999 of %s", err, name)
				}
			})
		})
	}
}

func TestASecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drayage.db")
	s, err := Open(t.Context(), path, quiet(t, Options{}))
	if err != nil {
		t.Fatal(err)
	}
	if second, err := Open(t.Context(), path, quiet(t, Options{})); err == nil {
		second.Close()
		t.Error("the same file was opened twice")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), path, quiet(t, Options{}))
	if err != nil {
		t.Fatalf("open after close: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTheFileIsItsOwnersAlone(t *testing.T) {
	on(t, "sqlite", func(t *testing.T, db place) {
		path := db.url(t)
		s := db.openAt(t, path, Options{})
		enqueue(t, s, jobs("inv", 1))
		copied := path + ".copy"
		if err := s.Backup(t.Context(), copied); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{path, path + "-wal", path + ".lock", copied} {
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			if mode := info.Mode().Perm(); mode != 0o600 {
				t.Errorf("%s has mode %o, want 600", file, mode)
			}
		}
	})
}
