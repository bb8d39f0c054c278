package layer

import (
	"hash"
	"io"
)

// splitBlock is how much is gathered before it is passed on, in bytes.
const splitBlock = 512 << 10

// splitter passes on what is written to it to a writer, and to a hash at the same
// time.
type splitter struct {
	w    io.Writer
	hash hash.Hash

	full   []byte
	spare  chan []byte
	hashed chan []byte
	done   chan struct{}
}

func newSplitter(w io.Writer, h hash.Hash) *splitter {
	s := &splitter{w: w, hash: h, full: make([]byte, 0, splitBlock), spare: make(chan []byte, 2), hashed: make(chan []byte, 2), done: make(chan struct{})}
	s.spare <- make([]byte, 0, splitBlock)
	s.spare <- make([]byte, 0, splitBlock)
	go func() {
		defer close(s.done)
		for block := range s.hashed {
			s.hash.Write(block)
			s.spare <- block[:0]
		}
	}()
	return s
}

func (s *splitter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n := min(len(p), splitBlock-len(s.full))
		s.full = append(s.full, p[:n]...)
		p = p[n:]
		written += n
		if len(s.full) == splitBlock {
			if err := s.pass(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

// pass hands the block on. Both sides only read it; it is used again when the
// hash is done with it, and the writer is done with it when it returns.
func (s *splitter) pass() error {
	block := s.full
	s.full = <-s.spare
	_, err := s.w.Write(block)
	s.hashed <- block
	return err
}

// Close passes on what is left, and waits for the hash.
func (s *splitter) Close() error {
	err := s.pass()
	close(s.hashed)
	<-s.done
	return err
}
