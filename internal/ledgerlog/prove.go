package ledgerlog

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// maxProofs bounds the rows that one digest is proved by.
const maxProofs = 100

// Prove makes a proof for each of the newest rows that have the digest, the
// newest first: up to a hundred. Rows that are not sealed yet are sealed first.
// No row with the digest is no error, and no proof.
func (l *Log) Prove(ctx context.Context, digest string) ([]ledger.Proof, error) {
	proofs, err := l.prove(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("prove %s: %w", digest, err)
	}
	return proofs, nil
}

func (l *Log) prove(ctx context.Context, digest string) ([]ledger.Proof, error) {
	if _, err := l.Seal(ctx); err != nil {
		return nil, err
	}
	db := l.db.Read()
	var size int64
	var signed []byte
	found, err := sqldb.QueryRow(ctx, db, `SELECT size, signed FROM log_checkpoint ORDER BY size DESC LIMIT 1`, nil, &size, &signed)
	if err != nil || !found {
		return nil, err
	}
	var proofs []ledger.Proof
	err = db.Query(ctx, `SELECT l.idx, e.body FROM ledger_digest d JOIN ledger_entry e ON e.id = d.entry_id JOIN log_leaf l ON l.entry_id = e.id
		WHERE d.digest = ? AND l.idx < ? ORDER BY d.time DESC, d.entry_id DESC LIMIT `+fmt.Sprint(maxProofs), []any{digest, size},
		func(scan sqldb.Scan) error {
			p := ledger.Proof{Format: ledger.ProofFormat, Checkpoint: string(signed)}
			var body []byte
			if err := scan(&p.Index, &body); err != nil {
				return err
			}
			p.Row = string(body)
			proofs = append(proofs, p)
			return nil
		})
	if err != nil {
		return nil, err
	}
	hashes := newHashes(ctx, db)
	for i := range proofs {
		path, err := tlog.ProveRecord(size, proofs[i].Index, hashes)
		if err != nil {
			return nil, err
		}
		proofs[i].Hashes = path
		// What does not verify is not handed out: the row or the log was changed.
		if _, _, err := proofs[i].Verify([]string{l.verifier}); err != nil {
			return nil, fmt.Errorf("number %d of the log: %w: run drayage ledger verify", proofs[i].Index, err)
		}
	}
	return proofs, nil
}
