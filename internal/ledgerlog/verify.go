package ledgerlog

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// verifyPage is how many rows are read at a time.
const verifyPage = 2000

// maxProblems bounds how many problems are named.
const maxProblems = 1000

// VerifyOptions say what a ledger is verified against.
type VerifyOptions struct {
	// Keys are the verifier keys that checkpoints may be signed with. Defaults to
	// those in the database, which somebody who may change the database may
	// change, too.
	Keys []string
	// Checkpoints are signed checkpoints that were kept elsewhere.
	Checkpoints [][]byte
}

// Report is what was found.
type Report struct {
	// Rows is the number of rows in the log, Waiting of those that are not in it
	// yet, Checkpoints of the checkpoints that were checked.
	Rows, Waiting, Checkpoints int64
	// Root is the hash over all rows.
	Root tlog.Hash
	// Problems are what is wrong, in the log's order; none means that the ledger
	// is what was written. Only the first thousand are kept.
	Problems []Problem
}

// Problem is something in the ledger that is not as it was written.
type Problem struct {
	// Entry is the row's ID, Index its position in the log; -1 where there is none.
	Entry, Index int64
	// text says what is wrong with it.
	text string
}

func (p Problem) String() string {
	switch {
	case p.Entry >= 0 && p.Index >= 0:
		return fmt.Sprintf("row %d (number %d of the log): %s", p.Entry, p.Index, p.text)
	case p.Entry >= 0:
		return fmt.Sprintf("row %d: %s", p.Entry, p.text)
	case p.Index >= 0:
		return fmt.Sprintf("number %d of the log: %s", p.Index, p.text)
	}
	return p.text
}

// Verify reads the whole ledger and checks each row against the log, the log
// against itself, and each checkpoint against both. What it finds wrong is in
// the report; an error means that it could not be read.
func (l *Log) Verify(ctx context.Context, options VerifyOptions) (Report, error) {
	v := &verification{conn: l.db.Read(), keys: options.Keys}
	for _, step := range []func(context.Context) error{
		v.readKeys,
		v.readCheckpoints,
		func(context.Context) error { return v.addCheckpoints(options.Checkpoints) },
		v.checkLog,
		v.checkStrays,
	} {
		if err := step(ctx); err != nil {
			return Report{}, fmt.Errorf("verify ledger: %w", err)
		}
	}
	return v.report, nil
}
