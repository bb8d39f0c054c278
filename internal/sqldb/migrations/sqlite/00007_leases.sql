-- +goose Up

-- Until when a claim on a blob holds, unless it is renewed, in microseconds since 1970.
ALTER TABLE blob_claim ADD COLUMN lease_until INTEGER NOT NULL DEFAULT 0;
