package sqldb

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	goosedb "github.com/pressly/goose/v3/database"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/rs/zerolog"
)

//go:embed migrations
var migrations embed.FS

// schemaTable is where goose notes which migrations were done.
const schemaTable = "drayage_schema"

// migrate brings River's tables and ours up to date. It refuses a database
// whose schema is newer than this program.
func migrate[TTx any](ctx context.Context, db *sql.DB, dialect goose.Dialect, folder string, driver riverdriver.Driver[TTx], logger zerolog.Logger) error {
	queue, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: riverLogger(logger)})
	if err != nil {
		return err
	}
	files, err := fs.Sub(migrations, "migrations/"+folder)
	if err != nil {
		return err
	}
	versions, err := goosedb.NewStore(dialect, schemaTable)
	if err != nil {
		return err
	}
	// The dialect is the version store's: the provider takes one or the other.
	ours, err := goose.NewProvider("", db, files, goose.WithStore(versions))
	if err != nil {
		return err
	}

	// Both are asked before either is changed.
	if err := refuseNewerQueue(ctx, db, driver, queue.AllVersions()); err != nil {
		return err
	}
	found, err := ours.GetDBVersion(ctx)
	if err != nil && !errors.Is(err, goosedb.ErrVersionNotFound) {
		return fmt.Errorf("read schema version: %w", err)
	}
	sources := ours.ListSources()
	if known := sources[len(sources)-1].Version; found > known {
		return newerSchema("the ledger", found, known)
	}

	if _, err := queue.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate the job queue: %w", err)
	}
	if _, err := ours.Up(ctx); err != nil {
		return fmt.Errorf("migrate the ledger: %w", err)
	}
	return nil
}

// newerSchema is the error of a database that was last opened by a newer release.
// What has the schema: "the ledger", "the job queue". Found is the version of the
// database, known the newest that this program understands.
func newerSchema(what string, found, known int64) error {
	return fmt.Errorf("%s has schema version %d, and this release knows versions up to %d: "+
		"run the release that the database was last used with, or a newer one; there is no way back", what, found, known)
}

// refuseNewerQueue looks at River's table itself: River's own word for a version
// that it does not know is an error about a bundle.
func refuseNewerQueue[TTx any](ctx context.Context, db *sql.DB, driver riverdriver.Driver[TTx], known []rivermigrate.Migration) error {
	there, err := driver.GetExecutor().TableExists(ctx, &riverdriver.TableExistsParams{Table: "river_migration"})
	if err != nil {
		return fmt.Errorf("read the job queue's schema version: %w", err)
	}
	if !there {
		return nil
	}
	var found int64
	if err := db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM river_migration WHERE line = 'main'`).Scan(&found); err != nil {
		return fmt.Errorf("read the job queue's schema version: %w", err)
	}
	newest := int64(known[len(known)-1].Version)
	if found > newest {
		return newerSchema("the job queue", found, newest)
	}
	return nil
}
