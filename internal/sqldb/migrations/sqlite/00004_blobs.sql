-- +goose Up

-- Which daemon is uploading a blob to a registry, and where it went. A file has
-- one daemon, which knows by itself: the table is there to be the same everywhere.
CREATE TABLE blob_claim (
    registry   TEXT NOT NULL,
    digest     TEXT NOT NULL,
    daemon     TEXT NOT NULL,
    repository TEXT NOT NULL DEFAULT '', -- empty while it is under way
    time       INTEGER NOT NULL,
    PRIMARY KEY (registry, digest)
) WITHOUT ROWID;
CREATE INDEX blob_claim_by_time ON blob_claim (time);
