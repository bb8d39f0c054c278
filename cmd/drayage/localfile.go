package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"github.com/zeebo/blake3"

	"github.com/drayage/drayage/internal/cas"
)

// localFile is a file that may be a layer. It is hashed when that is in question,
// which takes longer than anything else where nothing has to move. What is read of
// it afterwards is compared with what was hashed, a piece at a time: whoever reads
// gets the layer's bytes, or none.
type localFile struct {
	path string
	size int64

	mu sync.Mutex
	// sums are the digests of the whole file, and pieces those of its pieces.
	sums   map[cas.Function]string
	pieces [][32]byte
	// spoiled is why the file is no longer looked at.
	spoiled error
}

// pieceSize is how much of a file is compared, and kept in memory, at a time. In bytes.
const pieceSize = 1 << 20

var errNoFile = errors.New("it is not a regular file")

func openLocalFile(path string) (*localFile, error) {
	info, err := os.Stat(path) //nolint:gosec // whoever runs the tool names the file
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "open", Path: path, Err: errNoFile}
	}
	return &localFile{path: path, size: info.Size(), sums: map[cas.Function]string{}}, nil
}

// mayBe tells whether the file can be what the remote cache calls so, without a look
// into it.
func (f *localFile) mayBe(d cas.Digest) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.size != d.Size || f.spoiled != nil {
		return false
	}
	sum := f.sums[d.Function]
	return sum == "" || sum == d.Hash
}

// is tells whether the file is what the remote cache calls so. A file that cannot be
// read is not, then or ever.
func (f *localFile) is(d cas.Digest) bool {
	if !f.mayBe(d) {
		return false
	}
	var h hash.Hash
	switch d.Function {
	case cas.SHA256:
		h = sha256.New()
	case cas.BLAKE3:
		h = blake3.New()
	default:
		return false // a digest that no layer of the rules has
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sums[d.Function] == "" && f.spoiled == nil {
		f.spoiled = f.hash(d.Function, h)
	}
	return f.spoiled == nil && f.sums[d.Function] == d.Hash
}

// hash reads the whole file.
func (f *localFile) hash(function cas.Function, h hash.Hash) error {
	file, err := f.open()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	var pieces [][32]byte
	piece := make([]byte, pieceSize)
	for left := f.size; left > 0; {
		piece = piece[:min(left, pieceSize)]
		if _, err := io.ReadFull(file, piece); err != nil {
			return fmt.Errorf("read %s: %w", f.path, err)
		}
		_, _ = h.Write(piece) // never fails
		pieces = append(pieces, blake3.Sum256(piece))
		left -= int64(len(piece))
	}
	f.sums[function], f.pieces = hex.EncodeToString(h.Sum(nil)), pieces
	return nil
}

// open opens the file, if it still is one of that size.
func (f *localFile) open() (*os.File, error) {
	if again, err := openLocalFile(f.path); err != nil { // before it is opened, which would wait for a pipe's other end
		return nil, err
	} else if again.size != f.size {
		return nil, fmt.Errorf("%s changed: it had %d bytes and now has %d", f.path, f.size, again.size)
	}
	return os.Open(f.path)
}

// spoil keeps the file from being looked at again.
func (f *localFile) spoil(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spoiled = err
}

// piece reads a piece of a file that was hashed, the n-th.
func (f *localFile) piece(file io.ReaderAt, n int, room []byte) ([]byte, error) {
	at := int64(n) * pieceSize
	room = room[:min(f.size-at, pieceSize)]
	if _, err := file.ReadAt(room, at); err != nil {
		return nil, fmt.Errorf("read %s: %w", f.path, err)
	}
	f.mu.Lock()
	want := f.pieces[n]
	f.mu.Unlock()
	if blake3.Sum256(room) != want {
		return nil, fmt.Errorf("%s changed while drayage read it", f.path)
	}
	return room, nil
}

// readAll reads a small file that was hashed.
func (f *localFile) readAll() ([]byte, error) {
	stream, err := openLocalStream(f, 0, func(int64) (io.ReadCloser, error) { return nil, errNoFile })
	if err != nil {
		return nil, err
	}
	defer func() { _ = stream.Close() }()
	return io.ReadAll(stream)
}
