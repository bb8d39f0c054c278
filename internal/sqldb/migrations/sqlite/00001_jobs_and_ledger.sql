-- +goose Up

-- What is known of each Bazel invocation. Times are microseconds since 1970.
CREATE TABLE invocation (
    id       TEXT PRIMARY KEY,
    build_id TEXT NOT NULL,
    started  INTEGER NOT NULL,
    updated  INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    exit_code TEXT NOT NULL,
    body     BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX invocation_by_start ON invocation (started, id);

-- What a stream's reader wants to have back after a crash.
CREATE TABLE stream_record (
    id            INTEGER PRIMARY KEY,
    invocation_id TEXT NOT NULL,
    data          BLOB NOT NULL
);
CREATE INDEX stream_record_by_invocation ON stream_record (invocation_id, id);

-- The pushes that an invocation asked for: one row a push spec, and its last job
-- and last outcome. It outlives the jobs, so it is also what makes a job unique.
CREATE TABLE expected (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    invocation_id TEXT NOT NULL,
    target        TEXT NOT NULL,
    configuration TEXT NOT NULL,
    aspect        TEXT NOT NULL,
    spec_digest   TEXT NOT NULL,
    found         INTEGER NOT NULL,
    job_id        INTEGER,
    outcome       TEXT NOT NULL DEFAULT '',
    entry_id      INTEGER,
    UNIQUE (invocation_id, target, spec_digest)
);
CREATE INDEX expected_by_job ON expected (job_id);

-- The ledger. The body is the row; the columns beside it are copies to search by.
CREATE TABLE ledger_entry (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id        INTEGER NOT NULL UNIQUE,
    time          INTEGER NOT NULL,
    outcome       TEXT NOT NULL,
    registry      TEXT NOT NULL,
    repository    TEXT NOT NULL,
    target        TEXT NOT NULL,
    invocation_id TEXT NOT NULL,
    commit_id     TEXT NOT NULL,
    body          BLOB NOT NULL
);
CREATE INDEX ledger_entry_by_time ON ledger_entry (time, id);
CREATE INDEX ledger_entry_by_outcome ON ledger_entry (outcome, time, id);
CREATE INDEX ledger_entry_by_registry ON ledger_entry (registry, time, id);
CREATE INDEX ledger_entry_by_repository ON ledger_entry (repository, time, id);
CREATE INDEX ledger_entry_by_target ON ledger_entry (target, time, id);
CREATE INDEX ledger_entry_by_invocation ON ledger_entry (invocation_id, time, id);
CREATE INDEX ledger_entry_by_commit ON ledger_entry (commit_id, time, id);

CREATE TABLE ledger_digest (
    digest   TEXT NOT NULL,
    time     INTEGER NOT NULL,
    entry_id INTEGER NOT NULL,
    PRIMARY KEY (digest, time, entry_id)
) WITHOUT ROWID;

CREATE TABLE ledger_tag (
    tag        TEXT NOT NULL,
    time       INTEGER NOT NULL,
    entry_id   INTEGER NOT NULL,
    repository TEXT NOT NULL,
    registry   TEXT NOT NULL,
    PRIMARY KEY (tag, time, entry_id)
) WITHOUT ROWID;
CREATE INDEX ledger_tag_by_repository ON ledger_tag (repository, tag, time, entry_id, registry);

-- Rows that are not in the Merkle log yet.
CREATE TABLE ledger_unsealed (
    entry_id INTEGER PRIMARY KEY
);

-- +goose StatementBegin
CREATE TRIGGER ledger_entry_keep BEFORE UPDATE ON ledger_entry
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: its rows are not changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER ledger_entry_stay BEFORE DELETE ON ledger_entry
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: its rows are not deleted');
END;
-- +goose StatementEnd
