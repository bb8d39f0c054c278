package ledgerlog

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/drayage/drayage/internal/sqldb"
)

// keptName names a log whose key is kept in the database.
const keptName = "drayage"

// Options are what a log works with.
type Options struct {
	// Key signs checkpoints: a signer key, as [ledger.NewKey] makes it. Defaults to
	// a key that is kept in the database.
	Key string
	// Clock says what time it is. Defaults to time.Now.
	Clock func() time.Time
}

// Log is the Merkle log over the ledger in a database.
type Log struct {
	db       sqldb.DB
	now      func() time.Time
	signer   note.Signer
	verifier string
}

// Open finds the log's key, or makes it.
func Open(ctx context.Context, db sqldb.DB, options Options) (*Log, error) {
	if options.Clock == nil {
		options.Clock = time.Now
	}
	l := &Log{db: db, now: options.Clock}
	err := db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
		return l.prepareKey(ctx, tx, options.Key)
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the log's key: %w", err)
	}
	return l, nil
}

// Name is the name of the key that signs checkpoints, which is the log's.
func (l *Log) Name() string { return l.signer.Name() }

// Key is the verifier key of the key that signs checkpoints now.
func (l *Log) Key() string { return l.verifier }

// Checkpoint is the latest signed checkpoint, for publishing elsewhere; nil
// where nothing is sealed yet.
func (l *Log) Checkpoint(ctx context.Context) ([]byte, error) {
	var signed []byte
	if _, err := sqldb.QueryRow(ctx, l.db.Read(), `SELECT signed FROM log_checkpoint ORDER BY size DESC LIMIT 1`, nil, &signed); err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	return signed, nil
}

// Thin removes the checkpoints from before a time, but each day's last one.
func (l *Log) Thin(ctx context.Context, before time.Time) error {
	return sqldb.DeleteMany(ctx, l.db, "log_checkpoint", "size", `SELECT c.size FROM log_checkpoint c WHERE c.time < ?
		AND EXISTS (SELECT 1 FROM log_checkpoint n WHERE n.size > c.size AND n.time / 86400000000 = c.time / 86400000000)`, sqldb.Micros(before))
}

// lockState reads the log's size, and keeps others from sealing and from making a
// key until the transaction ends.
func (l *Log) lockState(ctx context.Context, tx sqldb.Conn) (size int64, err error) {
	_, err = sqldb.QueryRow(ctx, tx, `SELECT size FROM log_state WHERE id = 1`+l.db.Dialect().ForUpdate, nil, &size)
	return size, err
}
