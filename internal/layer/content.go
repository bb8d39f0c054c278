package layer

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"sync"
)

const (
	// smallFile is the size in bytes up to which a file is read as a whole, ahead
	// of its turn.
	smallFile = 128 << 10

	// readBatch is how many entries are read by one goroutine, and readAhead how
	// many of those run ahead of the writer. With smallFile they bound the memory,
	// to about 16 MiB.
	readBatch = 16
	readAhead = 8
)

// content is what an entry's source holds.
type content struct {
	size int64
	// data is all of a small file, and sum its digest.
	data []byte
	sum  [sha256.Size]byte
	err  error
}

// contents reads the entries' sources ahead of the writer, in their order.
type contents struct {
	turns chan chan []content
	batch []content
	stop  chan struct{}
	done  sync.WaitGroup
}

// readContents begins to read. Whoever calls it calls close.
func readContents(entries []Entry) *contents {
	c := &contents{turns: make(chan chan []content, readAhead), stop: make(chan struct{})}
	c.done.Go(func() {
		for len(entries) > 0 {
			n := min(readBatch, len(entries))
			batch := entries[:n]
			entries = entries[n:]
			result := make(chan []content, 1)
			select {
			case c.turns <- result:
			case <-c.stop:
				return
			}
			c.done.Go(func() { result <- readBatchOf(batch) })
		}
	})
	return c
}

// next is the content of the next entry.
func (c *contents) next() content {
	if len(c.batch) == 0 {
		c.batch = <-<-c.turns
	}
	first := c.batch[0]
	c.batch[0].data = nil // for the collector
	c.batch = c.batch[1:]
	return first
}

func (c *contents) close() {
	close(c.stop)
	c.done.Wait()
}

func readBatchOf(entries []Entry) []content {
	batch := make([]content, len(entries))
	for i, e := range entries {
		if e.Source != "" {
			batch[i] = readContent(e.Source)
		}
	}
	return batch
}

func readContent(source string) content {
	file, err := os.Open(source)
	if err != nil {
		return content{err: err}
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return content{err: err}
	}
	if !info.Mode().IsRegular() {
		return content{err: fmt.Errorf("%s is not a regular file", source)}
	}
	c := content{size: info.Size()}
	if c.size == 0 || c.size > smallFile {
		return c
	}
	c.data = make([]byte, c.size)
	if _, err := io.ReadFull(file, c.data); err != nil {
		return content{err: fmt.Errorf("read %s: %w", source, err)}
	}
	c.sum = sha256.Sum256(c.data)
	return c
}

func sumFile(source string) (sum [sha256.Size]byte, err error) {
	file, err := os.Open(source)
	if err != nil {
		return sum, err
	}
	defer func() { _ = file.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return sum, fmt.Errorf("read %s: %w", source, err)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}
