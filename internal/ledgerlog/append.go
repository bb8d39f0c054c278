package ledgerlog

import (
	"context"
	"fmt"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// Append writes rows and what finds them, and returns those that were written,
// with their IDs. A job has one row: where there is one already the new one is
// left out.
func (l *Log) Append(ctx context.Context, tx sqldb.Conn, entries []ledger.Entry) ([]ledger.Entry, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	args := make([]any, 0, 9*len(entries))
	shared := map[string][]byte{}
	byJob := make(map[int64]ledger.Entry, len(entries))
	for _, e := range entries {
		row, metadata, err := e.DetachMetadata()
		if err != nil {
			return nil, err
		}
		if metadata != nil {
			shared[row.MetadataDigest] = metadata
		}
		body, err := row.Encode()
		if err != nil {
			return nil, err
		}
		byJob[e.Job] = e
		args = append(args, e.Job, sqldb.Micros(e.Time), string(e.Outcome), e.Registry, e.Repository, e.Target, e.InvocationID, e.Commit, body)
	}
	if err := keepMetadata(ctx, tx, shared); err != nil {
		return nil, err
	}
	written := make([]ledger.Entry, 0, len(entries))
	err := tx.Query(ctx, `INSERT INTO ledger_entry (job_id, time, outcome, registry, repository, target, invocation_id, commit_id, body)
		VALUES `+sqldb.Values(len(entries), "(?,?,?,?,?,?,?,?,?)")+` ON CONFLICT (job_id) DO NOTHING RETURNING id, job_id`, args,
		func(scan sqldb.Scan) error {
			var id, job int64
			if err := scan(&id, &job); err != nil {
				return err
			}
			e := byJob[job]
			e.ID = id
			written = append(written, e)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("insert ledger rows: %w", err)
	}
	var digests, tags, unsealed []any
	for _, e := range written {
		at := sqldb.Micros(e.Time)
		for _, digest := range e.Digests() {
			digests = append(digests, digest, at, e.ID)
		}
		for _, tag := range e.TagNames() {
			tags = append(tags, tag, at, e.ID, e.Repository, e.Registry)
		}
		unsealed = append(unsealed, e.ID)
	}
	err = sqldb.ExecMany(ctx, tx,
		sqldb.Insert{SQL: `INSERT INTO ledger_digest (digest, time, entry_id) VALUES `, Group: "(?,?,?)", Args: digests},
		sqldb.Insert{SQL: `INSERT INTO ledger_tag (tag, time, entry_id, repository, registry) VALUES `, Group: "(?,?,?,?,?)", Args: tags},
		sqldb.Insert{SQL: `INSERT INTO ledger_unsealed (entry_id) VALUES `, Group: "(?)", Args: unsealed},
	)
	if err != nil {
		return nil, fmt.Errorf("insert what finds ledger rows: %w", err)
	}
	return written, nil
}
