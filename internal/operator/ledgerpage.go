package operator

import (
	"context"
	"iter"

	"github.com/drayage/drayage/internal/ledger"
)

// ledgerPageSize is how many entries are asked for at a time.
const ledgerPageSize = 500

// LedgerPage is the answer to a ledger query: entries, the newest first.
type LedgerPage struct {
	Entries []ledger.Entry `json:"entries"`
	// Next is the cursor of the next page, or 0 on the last one.
	Next int64 `json:"next,omitzero"`
}

// Entries asks for the entries that a query finds, page by page, the newest first: limit
// of them, or all where that is zero. The query's own limit does not count. An error is
// the last thing that comes.
func (c *Client) Entries(ctx context.Context, query ledger.Query, limit int) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		for query, left := query, limit; ; {
			query.Limit = ledgerPageSize
			if limit > 0 {
				query.Limit = min(ledgerPageSize, left)
			}
			page, err := c.Ledger(ctx, query)
			if err != nil {
				yield(ledger.Entry{}, err)
				return
			}
			for _, e := range page.Entries {
				if !yield(e, nil) {
					return
				}
			}
			left -= len(page.Entries)
			if query.Before = page.Next; page.Next == 0 || limit > 0 && left <= 0 {
				return
			}
		}
	}
}
