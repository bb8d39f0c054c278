-- +goose Up

-- What each client has had kept each day (the microseconds at which the day began):
-- invocations and expected pushes, and the bytes of push specs that came in build events.
-- The client's pushes that have not ended are at most pending, and what was made since.
CREATE TABLE client_usage (
    client     TEXT COLLATE "C" NOT NULL,
    day        BIGINT NOT NULL,
    made       BIGINT NOT NULL,
    spec_bytes BIGINT NOT NULL,
    pending    BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (client, day)
);
ALTER TABLE expected ADD COLUMN client TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX expected_pending_by_client ON expected (client) WHERE entry_id IS NULL AND client <> '';
