package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Backup writes a copy of an SQLite store to a new file, as it is at one moment,
// while the store is in use. To restore it, stop the daemon and put the copy in
// the file's place.
//
// PostgreSQL has its own means: pg_dump, or a base backup.
func (s *Store) Backup(ctx context.Context, path string) error {
	if s.db.dialect().name != "sqlite" {
		return errors.New("back up store: it is in PostgreSQL: use pg_dump --format=custom, or a base backup")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("back up store: %w", err)
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("back up store: %s is there already: name a new file", path)
	}
	// Half a backup must not look like one.
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("back up store: %w", err)
	}
	if err := makePrivate(part); err != nil {
		return fmt.Errorf("back up store: %w", advise(err))
	}
	if err := s.db.copyTo(ctx, part); err != nil {
		return fmt.Errorf("back up store to %s: %w", path, advise(errors.Join(err, os.Remove(part))))
	}
	if err := syncFile(part); err != nil {
		return fmt.Errorf("back up store to %s: %w", path, advise(err))
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("back up store to %s: %w", path, advise(err))
	}
	return syncFile(filepath.Dir(path))
}

func syncFile(path string) error {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
