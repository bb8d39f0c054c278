package operator

import "github.com/drayage/drayage/internal/ledger"

const (
	// MaxKeys bounds the keys that a ledger is verified with.
	MaxKeys = 16
	// MaxCheckpoints bounds the checkpoints that a ledger is verified against.
	MaxCheckpoints = 1000
)

// VerifyRequest says what the ledger is verified against.
type VerifyRequest struct {
	// Keys are the verifier keys that checkpoints may be signed with. None means
	// those that the daemon's database has.
	Keys []string `json:"keys,omitzero"`
	// Checkpoints are signed checkpoints that were kept elsewhere.
	Checkpoints []string `json:"checkpoints,omitzero"`
}

// LogReport is what a verification found.
type LogReport struct {
	// Rows is the number of rows in the log, Waiting of those that are not in it
	// yet, Checkpoints of the checkpoints that were checked.
	Rows        int64 `json:"rows"`
	Waiting     int64 `json:"waiting"`
	Checkpoints int64 `json:"checkpoints"`
	// Root is the hash over all rows, in base64.
	Root string `json:"root"`
	// Problems are what is wrong; none means that the ledger is what was written.
	Problems []LogProblem `json:"problems"`
}

// LogProblem is something in the ledger that is not as it was written.
type LogProblem struct {
	// Entry is the row's ID, Index its place in the log, where there is one.
	Entry *int64 `json:"entry,omitzero"`
	Index *int64 `json:"index,omitzero"`
	// Text is the whole sentence, for people.
	Text string `json:"text"`
}

// Proofs are proofs of one digest, of the newest row first.
type Proofs struct {
	Proofs []ledger.Proof `json:"proofs"`
}
