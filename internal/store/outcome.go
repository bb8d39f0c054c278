package store

import (
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// completed gives a row the fields that the store relies on.
func completed(entry ledger.Entry, job Job, number int64, now time.Time) *ledger.Entry {
	entry.Job = number
	entry.InvocationID = job.Invocation
	if entry.Target == "" {
		entry.Target = job.Target
	}
	if entry.Time.IsZero() {
		entry.Time = now
	}
	return cleanEntry(&entry)
}

// cleanEntry takes out what not every database can search by.
func cleanEntry(e *ledger.Entry) *ledger.Entry {
	for _, field := range []*string{&e.Registry, &e.Repository, &e.Digest, &e.Target, &e.Commit, &e.Error} {
		*field = sqldb.CleanText(*field)
	}
	return e
}

// unworkedEntry is what is known of a push without its worker.
func unworkedEntry(job Job) ledger.Entry {
	return ledger.Entry{
		Target: job.Target, Configuration: job.Configuration, Aspect: job.Aspect, SpecDigest: job.Spec.Digest(),
		BuildID: job.Build, InvocationID: job.Invocation, Client: job.Client,
	}
}
