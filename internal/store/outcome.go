package store

import (
	"context"
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

// inherit gives the row of a job that its worker did not make what the row has that the
// job is done to: which image it is, where it is, and which tags it has or is to have.
func (s *Store) inherit(ctx context.Context, tx sqldb.Conn, entry *ledger.Entry, job Job) error {
	if job.Entry == 0 {
		return nil
	}
	rows, err := s.readEntries(ctx, tx, []int64{job.Entry})
	if err != nil {
		return err
	}
	before, there := rows[job.Entry]
	if !there {
		return nil
	}
	own := *entry
	*entry = before
	entry.ID, entry.Job, entry.Time, entry.Outcome, entry.ErrorClass, entry.Error = 0, own.Job, own.Time, own.Outcome, own.ErrorClass, own.Error
	entry.Attempts, entry.Duration, entry.Requests = own.Attempts, own.Duration, own.Requests
	entry.Uploaded, entry.Mounted, entry.Present = ledger.Count{}, ledger.Count{}, ledger.Count{}
	if job.Action != ActionTag {
		entry.HeldTags = nil
	}
	entry.Tags, entry.By = nil, "" // this job wrote none, as far as is known
	return nil
}

// unworkedEntry is what is known of a push without its worker.
func unworkedEntry(job Job) ledger.Entry {
	return ledger.Entry{
		Target: job.Target, Configuration: job.Configuration, Aspect: job.Aspect, SpecDigest: job.Spec.Digest(),
		BuildID: job.Build, InvocationID: job.Invocation, Client: job.Client,
	}
}
