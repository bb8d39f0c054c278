-- +goose Up

-- Whose the invocation is: the client that has proved who it is, or '' where its client
-- has not. NULL in rows of an earlier release: the body says it.
ALTER TABLE invocation ADD COLUMN owner TEXT COLLATE "C";
