-- +goose Up

-- Which target of the build wrote a tag, and which may write it now: two targets of one
-- build may want one tag for two images. Empty where it was written before it was kept.
ALTER TABLE tag_fence ADD COLUMN target TEXT NOT NULL DEFAULT '';
ALTER TABLE tag_fence ADD COLUMN lease_target TEXT NOT NULL DEFAULT '';
