package ledger

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/tlog"
)

// Proof shows that a row is in the log, to somebody who trusts the log's key and
// has neither the ledger nor the daemon.
type Proof struct {
	// Format is [ProofFormat].
	Format string `json:"format"`
	// Row is the row's bytes as the log has them: JSON, as text, so that nobody on
	// the way writes them anew.
	Row string `json:"row"`
	// Index is the row's place in the log, from 0.
	Index int64 `json:"index"`
	// Hashes lead from the row to the checkpoint's root (RFC 6962, 2.1.1).
	Hashes []tlog.Hash `json:"hashes"`
	// Checkpoint is the signed checkpoint.
	Checkpoint string `json:"checkpoint"`
}

// ProofFormat names the form of a [Proof].
const ProofFormat = "drayage ledger proof v1"

// maxProof bounds a proof's hashes: a tree of 2^62 rows has fewer.
const maxProof = 64

// DecodeProof reads a proof's JSON form.
func DecodeProof(data []byte) (Proof, error) {
	var p Proof
	if err := json.Unmarshal(data, &p, json.RejectUnknownMembers(true)); err != nil {
		return Proof{}, fmt.Errorf("decode proof: %w", err)
	}
	return p, nil
}

// Encode writes the proof's JSON form, indented.
func (p Proof) Encode() ([]byte, error) {
	data, err := json.Marshal(p, jsontext.WithIndent("  "))
	if err != nil {
		return nil, fmt.Errorf("encode proof: %w", err)
	}
	return append(data, '\n'), nil
}

// Verify checks that one of the keys signed the checkpoint and that the row is
// in the log that it signed. What it returns is proved; nothing else of the
// proof is.
func (p Proof) Verify(keys []string) (Entry, Checkpoint, error) {
	if p.Format != ProofFormat {
		return Entry{}, Checkpoint{}, fmt.Errorf("verify proof: its format is %q, and %q is understood", p.Format, ProofFormat)
	}
	checkpoint, err := OpenCheckpoint([]byte(p.Checkpoint), keys)
	if err != nil {
		return Entry{}, Checkpoint{}, fmt.Errorf("verify proof: %w", err)
	}
	if p.Index < 0 || p.Index >= checkpoint.Size {
		return Entry{}, Checkpoint{}, fmt.Errorf("verify proof: row %d is not one of the %d that the checkpoint signs", p.Index, checkpoint.Size)
	}
	if len(p.Hashes) > maxProof {
		return Entry{}, Checkpoint{}, fmt.Errorf("verify proof: %d hashes are over the limit of %d", len(p.Hashes), maxProof)
	}
	leaf := tlog.RecordHash([]byte(p.Row))
	if err := tlog.CheckRecord(tlog.RecordProof(p.Hashes), checkpoint.Size, checkpoint.Root, p.Index, leaf); err != nil {
		return Entry{}, Checkpoint{}, errors.New("verify proof: the row is not what the log has there: the row, the hashes or the checkpoint was changed")
	}
	entry, err := Decode([]byte(p.Row))
	if err != nil {
		return Entry{}, Checkpoint{}, fmt.Errorf("verify proof: %w", err)
	}
	return entry, checkpoint, nil
}
