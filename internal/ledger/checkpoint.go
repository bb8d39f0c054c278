package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is what a signature under a Merkle log says: so many rows, with
// this hash over all of them.
type Checkpoint struct {
	// Origin names the log. It is the name of the key that signs.
	Origin string
	// Size is the number of rows.
	Size int64
	// Root is the Merkle tree hash of RFC 6962 over the rows' bytes.
	Root tlog.Hash
}

// Sign writes the checkpoint as a signed note. The form is that of the
// transparency-dev community (C2SP tlog-checkpoint), which witnesses and other
// tools read: origin, size and root on a line each, a blank line, signatures.
func (c Checkpoint) Sign(signer note.Signer) ([]byte, error) {
	signed, err := note.Sign(&note.Note{
		Text: fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:])),
	}, signer)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint of %d rows: %w", c.Size, err)
	}
	return signed, nil
}

// maxCheckpoint bounds a signed checkpoint, in bytes.
const maxCheckpoint = 64 << 10

// OpenCheckpoint reads a signed checkpoint and checks that one of the keys
// signed it. Keys are verifier keys: "name+hash+base64".
func OpenCheckpoint(signed []byte, keys []string) (Checkpoint, error) {
	if len(signed) > maxCheckpoint {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %d bytes are over the limit of %d", len(signed), maxCheckpoint)
	}
	var verifiers []note.Verifier
	for _, key := range keys {
		v, err := note.NewVerifier(key)
		if err != nil {
			return Checkpoint{}, fmt.Errorf("open checkpoint: %q is not a verifier key: %w", key, err)
		}
		verifiers = append(verifiers, v)
	}
	opened, err := note.Open(signed, note.VerifierList(verifiers...))
	if err != nil {
		if _, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
			return Checkpoint{}, errors.New("open checkpoint: it is signed by none of the keys given")
		}
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	return parseCheckpoint(opened.Text)
}

func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.SplitN(text, "\n", 4) // more lines are extensions
	if len(lines) < 4 || lines[0] == "" {
		return Checkpoint{}, errors.New("open checkpoint: it has not the three lines origin, size, root")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %q is not a number of rows", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %q is not a root hash", lines[2])
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: root}, nil
}
