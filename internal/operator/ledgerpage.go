package operator

import "github.com/drayage/drayage/internal/ledger"

// LedgerPage is the answer to a ledger query: entries, the newest first.
type LedgerPage struct {
	Entries []ledger.Entry `json:"entries"`
	// Next is the cursor of the next page, or 0 on the last one.
	Next int64 `json:"next,omitzero"`
}
