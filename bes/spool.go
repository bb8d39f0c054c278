package bes

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// spool keeps on disk the messages for best-effort backends that memory has no room for.
// Build events carry secrets, so what is written is encrypted. The key is made at the
// start and never leaves the process's memory. The files lose their names as soon as
// they are open.
type spool struct {
	dir  string
	max  int64
	aead cipher.AEAD
	used atomic.Int64
	// sealed counts what was encrypted: no nonce is used twice.
	sealed atomic.Uint64
	work   chan spoolWork
}

type spoolWork struct {
	courier *courier
	chunk   *chunk
}

// spoolQueue is how many chunks may wait for the disk. While as many wait, memory holds
// what comes.
const spoolQueue = 256

func newSpool(dir string, limit int64) (*spool, error) {
	probe, err := os.CreateTemp(dir, "drayage-spool-")
	if err != nil {
		return nil, fmt.Errorf("write to the spool directory: %w", err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return nil, fmt.Errorf("write to the spool directory: %w", err)
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("make spool key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make spool cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("make spool cipher: %w", err)
	}
	return &spool{dir: dir, max: limit, aead: aead, work: make(chan spoolWork, spoolQueue)}, nil
}

// run writes until the context ends.
func (s *spool) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-s.work:
			w.courier.spooled(w.chunk, s.write(&w.courier.spoolFile, w.chunk.data))
		}
	}
}

// spoolFile is one courier's file. Its zero value has none yet.
type spoolFile struct {
	mu     sync.Mutex
	file   *os.File
	size   int64
	closed bool
}

// extent is where a chunk lies in its courier's file.
type extent struct {
	offset, size int64
	nonce        uint64
	err          error
}

var errSpoolFull = errors.New("the spool is full")

// write encrypts data and appends it to the file.
func (s *spool) write(f *spoolFile, data []byte) extent {
	f.mu.Lock()
	defer f.mu.Unlock()
	size := int64(len(data) + s.aead.Overhead())
	if f.closed {
		return extent{err: os.ErrClosed}
	}
	if s.used.Add(size) > s.max {
		s.used.Add(-size)
		return extent{err: errSpoolFull}
	}
	e, err := s.append(f, data, size)
	if err != nil {
		s.used.Add(-size)
		return extent{err: err}
	}
	f.size += size
	return e
}

func (s *spool) append(f *spoolFile, data []byte, size int64) (extent, error) {
	if f.file == nil {
		file, err := os.CreateTemp(s.dir, "drayage-spool-")
		if err != nil {
			return extent{}, fmt.Errorf("make spool file: %w", err)
		}
		f.file = file
		if err := os.Remove(file.Name()); err != nil {
			return extent{}, fmt.Errorf("unlink spool file: %w", err)
		}
	}
	e := extent{offset: f.size, size: size, nonce: s.sealed.Add(1)}
	if _, err := f.file.WriteAt(s.aead.Seal(nil, s.nonce(e.nonce), data, nil), e.offset); err != nil { //nolint:gosec // the nonce counts up
		return extent{}, fmt.Errorf("write spool file: %w", err)
	}
	return e, nil
}

// read returns what was written.
func (s *spool) read(f *spoolFile, e extent) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil || f.closed {
		return nil, fmt.Errorf("read spool file: %w", os.ErrClosed)
	}
	sealed := make([]byte, e.size)
	if _, err := f.file.ReadAt(sealed, e.offset); err != nil {
		return nil, fmt.Errorf("read spool file: %w", err)
	}
	data, err := s.aead.Open(sealed[:0], s.nonce(e.nonce), sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("read spool file: %w", err)
	}
	return data, nil
}

func (s *spool) nonce(n uint64) []byte {
	nonce := make([]byte, s.aead.NonceSize())
	binary.BigEndian.PutUint64(nonce, n)
	return nonce
}

// close gives the file's room back.
func (s *spool) close(f *spoolFile) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.closed = true
	s.used.Add(-f.size)
	if f.file != nil {
		_ = f.file.Close() // nothing of it is needed
	}
}

// overflow hands chunks to the disk while memory holds more than half of what it may,
// oldest first. Called with mu held.
func (c *courier) overflow() {
	s := c.service.spool
	if s == nil {
		return
	}
	if c.toSpool == nil || c.replay.head != nil && c.toSpool.first < c.replay.head.first {
		c.toSpool = c.replay.head
	}
	for at := c.toSpool; at != nil && at != c.replay.tail; at = at.next {
		if c.replay.bytes-c.spooling <= c.service.config.ReplayBytes/2 {
			return
		}
		if at.data != nil && !at.queued {
			select {
			case s.work <- spoolWork{c, at}:
				at.queued = true
				c.spooling += int64(cap(at.data))
			default:
				return // the disk is behind
			}
		}
		c.toSpool = at.next
	}
}

// spooled notes where a chunk lies on disk, and lets go of its memory.
func (c *courier) spooled(at *chunk, on extent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := int64(cap(at.data))
	c.spooling -= size
	if on.err != nil {
		if !errors.Is(on.err, errSpoolFull) && !errors.Is(on.err, os.ErrClosed) {
			c.service.log.Warn().Err(on.err).Str("backend", c.backend.Name).Msg("messages for a backend cannot be written to the spool; they stay in memory")
		}
		return
	}
	at.extent = on
	at.data = nil
	if !at.dropped {
		c.replay.bytes -= size
		c.service.replayBytes.Add(-size)
	}
}
