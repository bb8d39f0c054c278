package layer

import (
	"hash/maphash"
	"sync"
)

const (
	// quickPart is how much of a large file its quick hash is of, in bytes.
	quickPart = 16 << 10

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
	// data is all of a small file. It is good until the turn of the next batch.
	data []byte
	// quick is a hash of the content's beginning, under a seed of this process's.
	quick uint64
	err   error
}

// contents reads the entries' sources ahead of the writer, in their order.
type contents struct {
	turns chan chan batch
	// turn is the batch whose turn it is, and left what is left of it.
	turn batch
	left []content
	seed maphash.Seed
	// spare are buffers to use again.
	spare sync.Pool
	stop  chan struct{}
	done  sync.WaitGroup
}

// batch is what some entries' sources hold, and the buffer that holds it.
type batch struct {
	contents []content
	buffer   []byte
}

// readContents begins to read. Whoever calls it calls close.
func readContents(entries []Entry) *contents {
	c := &contents{turns: make(chan chan batch, readAhead), seed: maphash.MakeSeed(), stop: make(chan struct{})}
	c.done.Go(func() {
		for len(entries) > 0 {
			n := min(readBatch, len(entries))
			some := entries[:n]
			entries = entries[n:]
			result := make(chan batch, 1)
			select {
			case c.turns <- result:
			case <-c.stop:
				return
			}
			c.done.Go(func() { result <- c.read(some) })
		}
	})
	return c
}

// next is the content of the next entry.
func (c *contents) next() content {
	if len(c.left) == 0 {
		if buffer := c.turn.buffer; buffer != nil {
			c.spare.Put(&buffer)
		}
		c.turn = <-<-c.turns
		c.left = c.turn.contents
	}
	first := c.left[0]
	c.left = c.left[1:]
	return first
}

func (c *contents) close() {
	close(c.stop)
	c.done.Wait()
}

// read reads the sources of some entries into one buffer.
func (c *contents) read(entries []Entry) batch {
	b := batch{contents: make([]content, len(entries))}
	if spare, ok := c.spare.Get().(*[]byte); ok {
		b.buffer = (*spare)[:0]
	} else {
		b.buffer = make([]byte, 0, smallFile)
	}
	for i, e := range entries {
		if e.source != "" {
			b.contents[i] = c.readSource(&b, e.source)
		}
	}
	return b
}

// readSource reads a small file as a whole, and of a large one the beginning.
func (c *contents) readSource(b *batch, source string) content {
	taken := len(b.buffer)
	size, err := readFile(source, func(size int64) []byte {
		want := int(size)
		if size > smallFile {
			want = quickPart
		}
		if taken+want > cap(b.buffer) {
			// What was read before keeps the old buffer for as long as it is needed.
			b.buffer, taken = make([]byte, 0, max(smallFile, want)), 0
		}
		b.buffer = b.buffer[:taken+want]
		return b.buffer[taken:]
	})
	if err != nil || size == 0 {
		return content{err: err}
	}
	data := b.buffer[taken:len(b.buffer):len(b.buffer)]
	read := content{size: size, quick: maphash.Bytes(c.seed, data)}
	if size > smallFile {
		b.buffer = b.buffer[:taken]
	} else {
		read.data = data
	}
	return read
}
