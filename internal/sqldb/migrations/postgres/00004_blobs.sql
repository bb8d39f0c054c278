-- +goose Up

-- Which daemon is uploading a blob to a registry, and where it went. Without it
-- two daemons that haul one build would each upload what its images share.
CREATE TABLE blob_claim (
    registry   TEXT COLLATE "C" NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL,
    daemon     TEXT COLLATE "C" NOT NULL,
    repository TEXT COLLATE "C" NOT NULL DEFAULT '', -- empty while it is under way
    time       BIGINT NOT NULL,
    PRIMARY KEY (registry, digest)
);
CREATE INDEX blob_claim_by_time ON blob_claim (time);
