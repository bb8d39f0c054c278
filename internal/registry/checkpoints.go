package registry

import (
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// checkpointEvery is the distance in bytes between the states kept.
	checkpointEvery = 1 << 20
	// maxCheckpoints bounds the states kept: as many of the last MiB can be sent
	// again without reading the blob from its start.
	maxCheckpoints = 64
)

// checkpoints hash a blob while it is uploaded. States of the hash are kept, so
// that an upload that broke can go on at an earlier offset and all bytes sent are
// hashed all the same.
type checkpoints struct {
	want   v1.Hash
	size   int64
	states []checkpoint
}

type checkpoint struct {
	offset int64
	state  []byte
}

// resumable is a hash whose state can be kept, as those of crypto/sha256 can.
type resumable interface {
	hash.Hash
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

var errNotResumable = errors.New("this build's SHA-256 cannot keep its state")

func newCheckpoints(want v1.Hash, size int64) *checkpoints {
	return &checkpoints{want: want, size: size}
}

// open gives size bytes of the content from offset on. The last bytes of the
// blob are given only if all of its bytes were right.
func (c *checkpoints) open(ctx context.Context, content Content, offset, size int64) (io.ReadCloser, error) {
	h, ok := sha256.New().(resumable)
	if !ok {
		return nil, errNotResumable
	}
	start := int64(0)
	for _, kept := range slices.Backward(c.states) {
		if kept.offset > offset {
			continue
		}
		if err := h.UnmarshalBinary(kept.state); err != nil {
			return nil, fmt.Errorf("restore hash of %s: %w", c.want, err)
		}
		start = kept.offset
		break
	}
	c.states = slices.DeleteFunc(c.states, func(kept checkpoint) bool { return kept.offset > start })
	source, err := content.Open(ctx, start)
	if err != nil {
		return nil, err
	}
	b := &hashedBody{ReadCloser: source, of: c, hash: h, offset: start, end: offset + size}
	// The bytes between the state and the offset are hashed, not sent.
	if _, err := io.CopyN(io.Discard, b, offset-start); err != nil {
		source.Close()
		return nil, err
	}
	return b, nil
}

type hashedBody struct {
	io.ReadCloser
	of          *checkpoints
	hash        resumable
	offset, end int64
}

func (b *hashedBody) Read(p []byte) (int, error) {
	if b.offset >= b.end {
		return 0, io.EOF
	}
	if int64(len(p)) > b.end-b.offset {
		p = p[:b.end-b.offset]
	}
	n, err := b.ReadCloser.Read(p)
	b.hash.Write(p[:n])
	b.offset += int64(n)
	if err := b.keep(); err != nil {
		return 0, &sourceError{err}
	}
	if b.offset == b.of.size && n > 0 {
		if got := hex.EncodeToString(b.hash.Sum(nil)); got != b.of.want.Hex {
			return 0, &sourceError{&MismatchError{Want: b.of.want, got: "sha256:" + got}}
		}
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		if b.offset < b.end {
			err = &MismatchError{Want: b.of.want, got: fmt.Sprintf("%d bytes instead of %d", b.offset, b.of.size)}
		} else {
			return n, nil
		}
	}
	if err != nil {
		return n, &sourceError{err}
	}
	return n, nil
}

// keep keeps the hash's state every so often.
func (b *hashedBody) keep() error {
	c := b.of
	last := int64(0)
	if len(c.states) > 0 {
		last = c.states[len(c.states)-1].offset
	}
	if b.offset-last < checkpointEvery {
		return nil
	}
	state, err := b.hash.MarshalBinary()
	if err != nil {
		return fmt.Errorf("keep hash of %s: %w", c.want, err)
	}
	if len(c.states) == maxCheckpoints {
		c.states = slices.Delete(c.states, 0, 1)
	}
	c.states = append(c.states, checkpoint{offset: b.offset, state: state})
	return nil
}

// sourceError marks an error of the reader that an upload's bytes come from, as
// opposed to one of the registry.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }

func (e *sourceError) Unwrap() error { return e.err }
