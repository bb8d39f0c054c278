-- +goose Up

-- Build metadata of the ledger's rows that is too large to be in each of them: once for all
-- that have it, by the digest that they name. The body is JSON.
CREATE TABLE ledger_metadata (
    digest TEXT COLLATE "C" PRIMARY KEY,
    body   BYTEA NOT NULL
);
CREATE TRIGGER ledger_metadata_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_metadata
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_keep();
