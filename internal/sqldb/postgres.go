package sqldb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/rs/zerolog"
)

const (
	// postgresWriters and postgresReaders bound a daemon's connections, beside the
	// two that it holds all the time (its session, and River's notifications).
	postgresWriters = 12
	postgresReaders = 4

	// postgresPoll is how often PostgreSQL is asked for jobs. It tells of new ones
	// at once; the question finds those that were given back.
	postgresPoll = 250 * time.Millisecond
)

// openPostgres opens the database at location, which any number of daemons may
// share. It needs connections of its own: a pooler in transaction mode would
// give the locks that daemons hold to somebody else.
func openPostgres(ctx context.Context, location string, options Options) (DB, error) {
	config, err := pgxpool.ParseConfig(location)
	if err != nil {
		// The error holds the URL, password and all.
		return nil, errors.New("the postgres:// URL cannot be read: it must have the form postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…")
	}
	where := fmt.Sprintf("database %s at %s:%d", config.ConnConfig.Database, config.ConnConfig.Host, config.ConnConfig.Port)
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "drayaged"
	}
	config.MaxConns = postgresWriters
	writer, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	fail := func(err error) (DB, error) {
		writer.Close()
		return nil, err
	}
	driver := riverpgxv5.New(writer)
	if err := migratePostgres(ctx, writer, driver, options.Logger); err != nil {
		return fail(fmt.Errorf("%s: %w", where, err))
	}
	inserter, err := river.NewClient(driver, &river.Config{Logger: riverLogger(options.Logger)})
	if err != nil {
		return fail(fmt.Errorf("%s: %w", where, err))
	}
	readOnly := config.Copy()
	readOnly.MaxConns = postgresReaders
	readOnly.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	// A plan for any value reads the newest rows until enough fit. That is right
	// for a registry that has half of them, and reads all for one that has ten.
	readOnly.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_custom_plan"
	reader, err := pgxpool.NewWithConfig(ctx, readOnly)
	if err != nil {
		return fail(fmt.Errorf("%s: %w", where, err))
	}
	texts := &statements{}
	return &backend[pgx.Tx]{
		driver:   driver,
		inserter: inserter,
		begin: func(ctx context.Context) (transaction[pgx.Tx], error) {
			tx, err := writer.Begin(ctx)
			if err != nil {
				return nil, err
			}
			return postgresTx{postgresConn{tx, texts}, tx}, nil
		},
		join: func(ctx context.Context, name string) (Session, error) {
			return joinPostgres(ctx, config.ConnConfig.Copy(), name, options.StallLimit)
		},
		reader:    postgresReader{postgresConn{reader, texts}},
		dialect:   postgresDialect(),
		loosen:    `SET LOCAL synchronous_commit TO off`,
		fetchPoll: postgresPoll,
		logger:    options.Logger,
		shut: func() {
			reader.Close()
			writer.Close()
		},
	}, nil
}

// migratePostgres lets one daemon migrate while the others wait for it.
func migratePostgres(ctx context.Context, pool *pgxpool.Pool, driver *riverpgxv5.Driver, logger zerolog.Logger) error {
	lock, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer lock.Release()
	if _, err := lock.Exec(ctx, `SELECT pg_advisory_lock($1)`, lockNumber("migrate")); err != nil {
		return fmt.Errorf("wait for another daemon's migration: %w", err)
	}
	db := stdlib.OpenDBFromPool(pool)
	err = migrate(ctx, db, goose.DialectPostgres, "postgres", driver, logger)
	_, unlock := lock.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, lockNumber("migrate"))
	return errors.Join(err, db.Close(), unlock)
}

// postgresConn is a [Conn] on a pool or a transaction of pgx.
type postgresConn struct {
	db interface {
		Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
		Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	}
	texts *statements
}

// Exec implements [Conn].
func (c postgresConn) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	tag, err := c.db.Exec(ctx, c.texts.numbered(sql), args...)
	if err != nil {
		return 0, advise(err)
	}
	return tag.RowsAffected(), nil
}

// Query implements [Conn].
func (c postgresConn) Query(ctx context.Context, sql string, args []any, each func(Scan) error) error {
	rows, err := c.db.Query(ctx, c.texts.numbered(sql), args...)
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

type postgresTx struct {
	postgresConn
	tx pgx.Tx
}

func (t postgresTx) raw() pgx.Tx                      { return t.tx }
func (t postgresTx) commit(ctx context.Context) error { return t.tx.Commit(ctx) }

// rollback has no error to give: the connection is thrown away if it fails.
func (t postgresTx) rollback(ctx context.Context) { _ = t.tx.Rollback(ctx) }

// statements remembers statements with their placeholders numbered. There are as
// many as there are statements in the program, times the sizes of batches.
type statements struct{ known sync.Map }

func (s *statements) numbered(sql string) string {
	known, _ := s.known.Load(sql)
	if text, ok := known.(string); ok {
		return text
	}
	text := numbered(sql)
	s.known.Store(sql, text)
	return text
}
