-- +goose Up

-- How many decodes of a job's push spec have begun and not ended: those under way, and
-- those in which the daemon died.
CREATE TABLE decode_mark (
    job_id INTEGER PRIMARY KEY,
    begun  INTEGER NOT NULL
) WITHOUT ROWID;
