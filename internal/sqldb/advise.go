package sqldb

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	diskFull    = "the disk that holds the store is full: free some space; until then, nothing is acknowledged"
	notWritable = "the daemon's user must be able to write the store's file and its folder"
)

// advise adds to an error of the database what a person can do about it.
func advise(err error) error {
	if postgres, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch postgres.Code { // PostgreSQL's manual, appendix A
		case "53100":
			return fmt.Errorf("%w: %s", err, diskFull)
		case "25006":
			return fmt.Errorf("%w: the database takes no writes: if it is a standby, name the primary", err)
		}
		return err
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		switch lite.Code() & 0xff { // the rest of an extended code says where
		case sqlite3.SQLITE_FULL:
			return fmt.Errorf("%w: %s", err, diskFull)
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
			return fmt.Errorf("%w: %s", err, notWritable)
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return fmt.Errorf("%w: the store's file is damaged: restore it from a backup", err)
		}
		return err
	}
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: %s", err, diskFull)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %s", err, notWritable)
	}
	return err
}
