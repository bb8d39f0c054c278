package casregistry

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"

	"github.com/dustin/go-humanize"
)

// received is what has arrived of a blob or a manifest, in a file of its own. Its bytes
// are charged to its client.
type received struct {
	r      *Registry
	client string
	file   *os.File
	path   string
	size   int64
	sum    hash.Hash
}

func (r *Registry) newReceived(client string) (*received, error) {
	file, path, err := r.folder.create()
	if err != nil {
		return nil, err
	}
	return &received{r: r, client: client, file: file, path: path, sum: sha256.New()}, nil
}

// receive reads the body of a request to its end. No lock is held meanwhile, whatever
// time the client takes.
func (r *Registry) receive(c *call, limit int64) (*received, error) {
	if c.req.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	end, err := r.accounts.begin(c.client.Name)
	if err != nil {
		return nil, err
	}
	defer end()
	got, err := r.newReceived(c.client.Name)
	if err != nil {
		return nil, err
	}
	if err := got.fill(c.req.Body, limit); err != nil {
		got.discard()
		return nil, err
	}
	return got, nil
}

// fill adds what comes until its end, and has it charged.
func (b *received) fill(body io.Reader, limit int64) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := body.Read(buffer)
		if b.size+int64(n) > limit {
			return tooLarge(limit)
		}
		if err := b.r.accounts.charge(b.client, int64(n)); err != nil {
			return err
		}
		b.size += int64(n)
		if err := b.write(buffer[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return brokenOff(err)
		}
	}
}

func (b *received) write(data []byte) error {
	_, _ = b.sum.Write(data)
	_, err := b.file.Write(data)
	return err
}

// join adds what has arrived later, and takes over what is charged for it. After an error
// neither is of use.
func (b *received) join(more *received) error {
	defer more.discard()
	if _, err := more.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(io.MultiWriter(b.sum, b.file), more.file); err != nil {
		return err
	}
	b.size, more.size = b.size+more.size, 0
	return nil
}

// digest is that of what has arrived.
func (b *received) digest() string { return "sha256:" + hex.EncodeToString(b.sum.Sum(nil)) }

// discard deletes what has arrived.
func (b *received) discard() {
	_ = b.file.Close()
	_ = b.r.folder.root.Remove(b.path) // if it cannot be, the next start does
	b.r.accounts.add(b.client, -b.size)
	b.size = 0
}

// keep moves what has arrived to where it stays. Whoever calls has it charged.
func (b *received) keep(name string) error { return b.r.folder.keep(b.file, b.path, name) }

func tooLarge(limit int64) error {
	return &refusal{
		status: http.StatusRequestEntityTooLarge, code: "SIZE_INVALID",
		message: "the body must not be larger than " + humanize.IBytes(uint64(limit)),
	}
}

// brokenOff is of a body whose end did not come.
func brokenOff(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &refusal{status: http.StatusRequestTimeout, code: "BLOB_UPLOAD_INVALID", message: "the client sent nothing, or next to nothing, for too long; send it again"}
	}
	return &refusal{status: http.StatusBadRequest, code: "BLOB_UPLOAD_INVALID", message: fmt.Sprintf("the body ended early: %s; send it again", err)}
}
