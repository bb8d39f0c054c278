package store

import (
	"errors"
	"fmt"
)

// ErrClosed is returned by a store that is closed or closing.
var ErrClosed = errors.New("the store is closed")

// NewerSchemaError says that a database was last opened by a newer release.
type NewerSchemaError struct {
	// What has the schema: "the ledger", "the job queue".
	What string
	// Found is the version of the database, Known the newest that this program
	// understands.
	Found, Known int64
}

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("open store: %s has schema version %d, and this release knows versions up to %d: "+
		"run the release that the database was last used with, or a newer one; there is no way back", e.What, e.Found, e.Known)
}
