-- +goose Up

-- Whether the tags of an invocation move that wait at a gate. Times are microseconds since
-- 1970, 0 for none.
CREATE TABLE release (
    invocation_id TEXT COLLATE "C" PRIMARY KEY,
    gate          TEXT COLLATE "C" NOT NULL,
    state         TEXT COLLATE "C" NOT NULL,
    class         TEXT COLLATE "C" NOT NULL DEFAULT '',
    reason        TEXT COLLATE "C" NOT NULL DEFAULT '',
    decided_by    TEXT COLLATE "C" NOT NULL DEFAULT '',
    decided       BIGINT NOT NULL DEFAULT 0,
    approved_by   TEXT COLLATE "C" NOT NULL DEFAULT '',
    approved      BIGINT NOT NULL DEFAULT 0,
    staged        BIGINT NOT NULL, -- when its oldest image was staged
    created       BIGINT NOT NULL  -- by the database's clock
);
CREATE INDEX release_by_creation ON release (created, invocation_id);
CREATE INDEX release_by_state ON release (state, staged, invocation_id);

-- Root manifests of images that wait at a gate, by their digests.
CREATE TABLE kept_manifest (
    digest     TEXT COLLATE "C" PRIMARY KEY,
    media_type TEXT COLLATE "C" NOT NULL,
    data       BYTEA NOT NULL,
    time       BIGINT NOT NULL
);
CREATE INDEX kept_manifest_by_time ON kept_manifest (time, digest);

-- What the last job does: push, tag or restore; and the manifest that is kept for it.
ALTER TABLE expected ADD COLUMN action TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE expected ADD COLUMN kept TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX expected_by_kept ON expected (kept) WHERE kept <> '';
CREATE INDEX expected_staged ON expected (invocation_id, id) WHERE outcome = 'staged';

-- When the daemon first heard of the invocation, by the database's clock.
ALTER TABLE invocation ADD COLUMN seen BIGINT NOT NULL DEFAULT 0;

-- The number that builds are compared by, if they have one, and who lifted the fence last.
-- What the tag pointed to when the holder of the lease first looked: NULL if nobody did. It stays
-- when the lease has ended, until another build claims the tag or it is put back.
ALTER TABLE tag_fence ADD COLUMN number BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tag_fence ADD COLUMN lease_number BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tag_fence ADD COLUMN lease_previous TEXT COLLATE "C";
ALTER TABLE tag_fence ADD COLUMN lifted_by TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE tag_fence ADD COLUMN lifted BIGINT NOT NULL DEFAULT 0;
CREATE INDEX tag_fence_by_writer ON tag_fence (lease_invocation) WHERE lease_previous IS NOT NULL;
