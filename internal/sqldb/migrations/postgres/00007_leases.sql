-- +goose Up

-- Until when a claim on a blob holds, unless it is renewed, by the database's clock in
-- microseconds since 1970. What was under way before claims had an end gets one.
ALTER TABLE blob_claim ADD COLUMN lease_until BIGINT NOT NULL DEFAULT 0;
UPDATE blob_claim SET lease_until = CAST(EXTRACT(EPOCH FROM now() + INTERVAL '30 seconds') * 1000000 AS BIGINT) WHERE repository = '';
