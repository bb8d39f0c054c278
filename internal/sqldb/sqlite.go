package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/rs/zerolog"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/drayage/drayage/internal/clock"
)

// sqlitePoll is how often an SQLite file is asked for jobs.
const sqlitePoll = 25 * time.Millisecond

// sqliteReaders bounds the connections that only read.
const sqliteReaders = 4

// openSQLite opens the file that location names, and takes it for this process
// alone: a second process would take the first one's running jobs for a dead
// one's.
func openSQLite(ctx context.Context, location string, options Options) (DB, error) {
	path, err := sqlitePath(location)
	if err != nil {
		return nil, err
	}
	release, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b, err := openSQLiteFile(ctx, path, options.Logger)
	if err != nil {
		release()
		return nil, err
	}
	shut := b.shut
	b.shut = func() {
		shut()
		release()
	}
	return b, nil
}

func openSQLiteFile(ctx context.Context, path string, logger zerolog.Logger) (*backend[*sql.Tx], error) {
	if err := makePrivate(path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, advise(err))
	}
	// SQLite takes one writer at a time. Whoever waits for the one connection
	// waits in a queue; whoever waits for the file's lock polls.
	writer, err := sql.Open("sqlite", sqliteDSN(path, "_txlock=immediate"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	writer.SetMaxOpenConns(1)
	driver := pollingDriver{riversqlite.New(writer)}
	fail := func(err error) (*backend[*sql.Tx], error) {
		return nil, errors.Join(err, writer.Close())
	}
	if err := writer.PingContext(ctx); err != nil {
		return fail(fmt.Errorf("%s: %w", path, advise(err)))
	}
	if err := migrate(ctx, writer, goose.DialectSQLite3, "sqlite", riverdriver.Driver[*sql.Tx](driver), logger); err != nil {
		return fail(fmt.Errorf("%s: %w", path, advise(err)))
	}
	inserter, err := river.NewClient[*sql.Tx](driver, &river.Config{Logger: riverLogger(logger)})
	if err != nil {
		return fail(fmt.Errorf("%s: %w", path, err))
	}
	reader, err := sql.Open("sqlite", sqliteDSN(path, "_pragma=query_only(1)"))
	if err != nil {
		return fail(fmt.Errorf("%s: %w", path, err))
	}
	reader.SetMaxOpenConns(sqliteReaders)

	b := &backend[*sql.Tx]{
		driver:   driver,
		inserter: inserter,
		begin: func(ctx context.Context) (transaction[*sql.Tx], error) {
			tx, err := writer.BeginTx(ctx, nil)
			if err != nil {
				return nil, err
			}
			return sqliteTx{sqliteConn{tx}, tx}, nil
		},
		reader:    sqliteConn{reader},
		dialect:   sqliteDialect(),
		fetchPoll: sqlitePoll,
		pollOnly:  true,

		completeJobs: completeJobs,
		logger:       logger,
		shut: func() {
			for _, db := range []*sql.DB{reader, writer} {
				if err := closeSQLite(db); err != nil {
					logger.Error().Err(err).Msg("cannot close the database")
				}
			}
		},
	}
	b.join = func(context.Context, string) (Session, error) { return &sqliteSession{db: b}, nil }
	return b, nil
}

const (
	// letGoLimit bounds the wait for a database's last connection, letGoPoll is how
	// often it is looked for.
	letGoLimit = 10 * time.Second
	letGoPoll  = time.Millisecond
)

var errStillOpen = errors.New("a connection is still in use")

// closeSQLite closes a database and waits until it is closed. database/sql lets go of
// a connection later where a transaction was called off: the file would be nobody's
// while somebody still writes to it.
func closeSQLite(db *sql.DB) error {
	if err := db.Close(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), letGoLimit, errStillOpen)
	defer cancel()
	for db.Stats().OpenConnections > 0 {
		if err := clock.Wait(ctx, letGoPoll); err != nil {
			return err
		}
	}
	return nil
}

// makePrivate makes the file if there is none, for its owner alone: what builds
// say of themselves is not for everybody. SQLite gives the files beside it the
// same mode.
func makePrivate(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// sqliteDSN writes the driver's name of a file. FULL is what makes a commit
// durable in WAL mode: the default for WAL elsewhere, NORMAL, may lose the last
// commits to a power cut.
func sqliteDSN(path, extra string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&" + extra
}

// sqlitePath is the file that the URL names.
func sqlitePath(location string) (string, error) {
	path := strings.TrimPrefix(strings.TrimPrefix(location, "sqlite:"), "//")
	if path == "" || strings.Contains(path, ":memory:") {
		return "", errors.New("the store must be a file, since jobs outlast the process: set the path of one")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return "", fmt.Errorf("the folder %s, which is to hold %s, does not exist: make the folder, or set another path", filepath.Dir(path), filepath.Base(path))
	}
	return path, nil
}

// pollingDriver is River's driver for SQLite without its notifications: they are
// rows in the same file, so each insert would cost another write, and a look at
// the jobs themselves costs no more than one at the notifications.
type pollingDriver struct{ *riversqlite.Driver }

// SupportsListener implements [riverdriver.Driver].
func (pollingDriver) SupportsListener() bool { return false }

// SupportsListenNotify implements [riverdriver.Driver].
func (pollingDriver) SupportsListenNotify() bool { return false }

// sqliteConn is a [Conn] on what database/sql has.
type sqliteConn struct {
	db interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
}

// Exec implements [Conn].
func (c sqliteConn) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := c.db.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, advise(err)
	}
	return result.RowsAffected()
}

// Query implements [Conn].
func (c sqliteConn) Query(ctx context.Context, query string, args []any, each func(Scan) error) error {
	rows, err := c.db.QueryContext(ctx, query, args...)
	if err != nil {
		return advise(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return advise(rows.Err())
}

type sqliteTx struct {
	sqliteConn
	tx *sql.Tx
}

func (t sqliteTx) raw() *sql.Tx                 { return t.tx }
func (t sqliteTx) commit(context.Context) error { return t.tx.Commit() }

// rollback has no error to give: the connection is thrown away if it fails.
func (t sqliteTx) rollback(context.Context) { _ = t.tx.Rollback() }
