package store

import (
	"time"

	"github.com/riverqueue/river"
)

const (
	// tagQueue holds the jobs that move tags. They take a moment each, and wait for no haul:
	// all tags of a build are to move together.
	tagQueue = "tags"

	// TagWorkers is how many of them are worked at for each job that hauls. More of them
	// share a transaction, while others wait for their registries.
	TagWorkers = 4

	// tagPoll is how often a database that does not tell of new jobs is asked for them.
	tagPoll = 50 * time.Millisecond
)

// queues are River's, of a daemon that hauls so many images at once.
func queues(workers int) map[string]river.QueueConfig {
	return map[string]river.QueueConfig{
		river.QueueDefault: {MaxWorkers: workers},
		tagQueue:           {MaxWorkers: TagWorkers * workers, FetchPollInterval: tagPoll},
	}
}

// queue is the one that a job waits in.
func (j Job) queue() string {
	if j.Action == ActionPush {
		return river.QueueDefault
	}
	return tagQueue
}
