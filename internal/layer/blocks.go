package layer

import (
	"io"
	"runtime"
)

// blocks compresses blocks of a fixed size, each by itself and several at a time,
// and writes them in their order.
type blocks struct {
	encode func(block, to []byte) []byte
	size   int

	full []byte
	// pending are the blocks under way, the first to be written first. Its
	// capacity bounds them.
	pending chan chan []byte
	// spare are buffers to use again.
	spare chan []byte
	// failed has the first error of the writer.
	failed  chan error
	err     error
	written chan struct{}
}

func newBlocks(w io.Writer, size int, encode func(block, to []byte) []byte) *blocks {
	workers := min(runtime.GOMAXPROCS(0), compressors)
	b := &blocks{
		encode: encode, size: size,
		pending: make(chan chan []byte, workers), spare: make(chan []byte, 2*workers+2),
		failed: make(chan error, 1), written: make(chan struct{}),
	}
	b.full = b.buffer()
	go func() {
		defer close(b.written)
		failed := false
		for result := range b.pending {
			compressed := <-result
			if !failed {
				if _, err := w.Write(compressed); err != nil {
					failed = true
					b.failed <- err
				}
			}
			b.reuse(compressed)
		}
	}()
	return b
}

func (b *blocks) buffer() []byte {
	select {
	case buffer := <-b.spare:
		return buffer
	default:
		return make([]byte, 0, b.size)
	}
}

func (b *blocks) reuse(buffer []byte) {
	select {
	case b.spare <- buffer[:0]:
	default:
	}
}

func (b *blocks) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n := min(len(p), b.size-len(b.full))
		b.full = append(b.full, p[:n]...)
		p = p[n:]
		written += n
		if len(b.full) == b.size {
			if err := b.start(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

// start has the full block compressed.
func (b *blocks) start() error {
	select {
	case b.err = <-b.failed:
	default:
	}
	if b.err != nil {
		return b.err
	}
	block, result := b.full, make(chan []byte, 1)
	b.full = b.buffer()
	b.pending <- result
	go func() {
		compressed := b.encode(block, b.buffer())
		b.reuse(block)
		result <- compressed // whoever takes it waits for this goroutine with it
	}()
	return nil
}

// Close compresses what is left, and waits until all is written. An archive
// without any byte still makes one, empty, block.
func (b *blocks) Close() error {
	err := b.start()
	close(b.pending)
	<-b.written
	if err == nil {
		select {
		case err = <-b.failed:
		default:
		}
	}
	return err
}
