package operator

import (
	"context"
	"time"

	"github.com/drayage/drayage/internal/drift"
)

// VerificationPath is the last comparison of the ledger with the registries.
const VerificationPath = "/api/v1/ledger/verification"

// Verification is a comparison of the ledger with the registries, as the daemon does it by
// itself.
type Verification struct {
	// Began is zero if there never was one. Ended is zero while it is under way.
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
	// Checked counts the tags and digests that were looked up, Missing those that are no
	// longer in their registry, Changed those that are another image, and Unknown those
	// that could not be looked up.
	Checked int `json:"checked"`
	Missing int `json:"missing"`
	Changed int `json:"changed"`
	Unknown int `json:"unknown"`
	// Differences are what is missing, changed or unknown; Omitted counts those that there
	// is no room for.
	Differences []drift.Difference `json:"differences"`
	Omitted     int                `json:"omitted,omitzero"`
	// Next is the row before which the next one goes on, or 0 if this one came to the
	// oldest row.
	Next int64 `json:"next,omitzero"`
	// Error says what ended it early, if something did.
	Error string `json:"error,omitzero"`
}

// Drifted counts what registries do not serve as the ledger says.
func (v Verification) Drifted() int { return v.Missing + v.Changed }

// LastVerification asks for the last comparison that the daemon did by itself.
func (c *Client) LastVerification(ctx context.Context) (Verification, error) {
	var v Verification
	err := c.get(ctx, VerificationPath, &v)
	return v, err
}
