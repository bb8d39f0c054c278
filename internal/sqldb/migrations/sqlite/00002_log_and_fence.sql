-- +goose Up

-- The Merkle log. Leaf idx is the row entry_id; the hashes are those of
-- golang.org/x/mod/sumdb/tlog, in its order.
CREATE TABLE log_leaf (
    idx      INTEGER PRIMARY KEY,
    entry_id INTEGER NOT NULL UNIQUE
);
CREATE TABLE log_hash (
    idx  INTEGER PRIMARY KEY,
    hash BLOB NOT NULL
);
CREATE TABLE log_checkpoint (
    size   INTEGER PRIMARY KEY,
    signed BLOB NOT NULL,
    time   INTEGER NOT NULL
);
-- Keys that sign or have signed checkpoints. The signer is empty where the key
-- is kept elsewhere.
CREATE TABLE log_key (
    verifier TEXT PRIMARY KEY,
    signer   TEXT NOT NULL,
    added    INTEGER NOT NULL
);
-- One row, which whoever seals holds.
CREATE TABLE log_state (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    size INTEGER NOT NULL
);
INSERT INTO log_state (id, size) VALUES (1, 0);

-- Which build wrote a tag last, and which job may write it now.
CREATE TABLE tag_fence (
    registry      TEXT NOT NULL,
    repository    TEXT NOT NULL,
    tag           TEXT NOT NULL,
    started       INTEGER NOT NULL DEFAULT 0,
    invocation_id TEXT NOT NULL DEFAULT '',
    digest        TEXT NOT NULL DEFAULT '',
    lease_job        INTEGER,
    lease_until      INTEGER NOT NULL DEFAULT 0,
    lease_started    INTEGER NOT NULL DEFAULT 0,
    lease_invocation TEXT NOT NULL DEFAULT '',
    lease_digest     TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (registry, repository, tag)
) WITHOUT ROWID;
CREATE INDEX tag_fence_by_lease ON tag_fence (lease_job) WHERE lease_job IS NOT NULL;

-- Targets of an invocation that asked for no push after all, or not for all of
-- theirs: aborted, or with an incomplete group of outputs.
CREATE TABLE absent (
    invocation_id TEXT NOT NULL,
    target        TEXT NOT NULL,
    configuration TEXT NOT NULL,
    aspect        TEXT NOT NULL,
    state         TEXT NOT NULL,
    reason        TEXT NOT NULL,
    PRIMARY KEY (invocation_id, target, configuration, aspect, state)
) WITHOUT ROWID;

-- Events on their way to webhooks.
CREATE TABLE outbox (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    sink      TEXT NOT NULL,
    entry_id  INTEGER NOT NULL,
    due       INTEGER NOT NULL,
    attempts  INTEGER NOT NULL DEFAULT 0,
    state     TEXT NOT NULL DEFAULT 'waiting',
    error     TEXT NOT NULL DEFAULT ''
);
CREATE INDEX outbox_by_due ON outbox (state, due, id);
