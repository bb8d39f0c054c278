-- +goose Up

-- What operators said of a registry: drained, blocked, or open; and when they last ended its
-- pauses. Times are microseconds since 1970.
CREATE TABLE registry_state (
    registry TEXT PRIMARY KEY,
    state    TEXT NOT NULL,
    client   TEXT NOT NULL,
    since    INTEGER NOT NULL,
    lifted   INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- Jobs that wait for a registry, and which daemon had them wait. A row counts only while the
-- job's last run is still that run.
CREATE TABLE registry_wait (
    job_id   INTEGER PRIMARY KEY,
    run      INTEGER NOT NULL,
    registry TEXT NOT NULL,
    daemon   TEXT NOT NULL,
    until    INTEGER NOT NULL
);
CREATE INDEX registry_wait_by_registry ON registry_wait (registry, daemon, job_id);

-- Events are about rows of the ledger, or have a body of their own, as JSON.
ALTER TABLE outbox ADD COLUMN posted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN kind TEXT NOT NULL DEFAULT 'push';
ALTER TABLE outbox ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN body BLOB;

-- The last event about an invocation that is complete: its number, the last row of the
-- ledger that it tells of, and whether the whole stream had arrived.
CREATE TABLE completion (
    invocation_id TEXT PRIMARY KEY,
    sequence      INTEGER NOT NULL DEFAULT 0,
    last_entry    INTEGER NOT NULL DEFAULT -1,
    finished      INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- The comparison of the ledger with the registries that runs by itself: one row.
CREATE TABLE verification (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    body  BLOB NOT NULL
);
