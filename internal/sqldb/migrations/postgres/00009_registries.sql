-- +goose Up

-- What operators said of a registry: drained, blocked, or open; and when they last ended its
-- pauses. Times are microseconds since 1970.
CREATE TABLE registry_state (
    registry TEXT PRIMARY KEY,
    state    TEXT NOT NULL,
    client   TEXT NOT NULL,
    since    BIGINT NOT NULL,
    lifted   BIGINT NOT NULL DEFAULT 0
);

-- Jobs that wait for a registry, and which daemon had them wait. A row counts only while the
-- job's last run is still that run.
CREATE TABLE registry_wait (
    job_id   BIGINT PRIMARY KEY,
    run      BIGINT NOT NULL,
    registry TEXT NOT NULL,
    daemon   TEXT NOT NULL,
    until    BIGINT NOT NULL
);
CREATE INDEX registry_wait_by_registry ON registry_wait (registry, daemon, job_id);

-- Events are about rows of the ledger, or have a body of their own, as JSON.
ALTER TABLE outbox ADD COLUMN posted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN kind TEXT NOT NULL DEFAULT 'push';
ALTER TABLE outbox ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN body BYTEA;

-- The last event about an invocation that is complete: its number, the last row of the
-- ledger that it tells of, and whether the whole stream had arrived.
CREATE TABLE completion (
    invocation_id TEXT PRIMARY KEY,
    sequence      BIGINT NOT NULL DEFAULT 0,
    last_entry    BIGINT NOT NULL DEFAULT -1,
    finished      BIGINT NOT NULL DEFAULT 0
);

-- The comparison of the ledger with the registries that runs by itself: one row.
CREATE TABLE verification (
    id    BIGINT PRIMARY KEY CHECK (id = 1),
    body  BYTEA NOT NULL
);
