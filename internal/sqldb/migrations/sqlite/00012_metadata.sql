-- +goose Up

-- Build metadata of the ledger's rows that is too large to be in each of them: once for all
-- that have it, by the digest that they name. The body is JSON.
CREATE TABLE ledger_metadata (
    digest TEXT PRIMARY KEY,
    body   BLOB NOT NULL
);
-- +goose StatementBegin
CREATE TRIGGER ledger_metadata_keep BEFORE UPDATE ON ledger_metadata
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: its metadata is not changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER ledger_metadata_stay BEFORE DELETE ON ledger_metadata
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: its metadata is not deleted');
END;
-- +goose StatementEnd
