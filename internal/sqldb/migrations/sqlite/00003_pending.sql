-- +goose Up

-- What waits or is under way, without a look at all that has ended.
CREATE INDEX expected_pending ON expected (id) WHERE job_id IS NOT NULL AND entry_id IS NULL;
-- For retention.
CREATE INDEX expected_by_time ON expected (found, id);
