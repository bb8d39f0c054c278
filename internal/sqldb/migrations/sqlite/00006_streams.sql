-- +goose Up

-- When a daemon last said that the invocation's stream is here, and when the stream was
-- given up: zero if it was not.
ALTER TABLE invocation ADD COLUMN streamed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE invocation ADD COLUMN broken_off INTEGER NOT NULL DEFAULT 0;
-- Those whose stream may still go on.
CREATE INDEX invocation_open ON invocation (streamed) WHERE finished = 0 AND broken_off = 0;
