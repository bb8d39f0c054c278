package layer

import (
	"encoding/binary"
	"errors"
	"io"
	"iter"
)

var (
	errWindow   = errors.New("the dictionary is too large")
	errFiltered = errors.New("there are filters before LZMA2")
	errNotXZ    = errors.New("this is not xz")
)

// xzMagic begins an xz stream (.xz file format, section 2.1.1.1).
const xzMagic = "\xfd7zXZ\x00"

// xzWatch looks at xz data on their way to the decoder, which allocates whatever
// dictionary a block's header asks for, up to 4 GiB, and takes a file that is cut
// off between two blocks for a whole one. What else is wrong is the decoder's to
// find.
type xzWatch struct {
	r io.Reader
	// next runs the parser until it wants something.
	next func() (xzWant, bool)
	stop func()

	want xzWant
	got  []byte
	// between says that a stream has been read, and that another may follow.
	between bool
	failed  error
}

// xzWant is what the parser wants to see next: so many bytes, after so many that
// do not matter.
type xzWant struct {
	skip  int64
	bytes int
}

func newXZWatch(r io.Reader) *xzWatch {
	x := &xzWatch{r: r}
	x.next, x.stop = iter.Pull(x.parse)
	x.want, _ = x.next()
	return x
}

// Read implements [io.Reader].
func (x *xzWatch) Read(p []byte) (int, error) {
	if x.failed != nil {
		return 0, x.failed
	}
	n, err := x.r.Read(p)
	for seen := p[:n]; len(seen) > 0 && x.want.bytes > 0; {
		if x.want.skip > 0 {
			past := min(x.want.skip, int64(len(seen)))
			x.want.skip -= past
			seen = seen[past:]
			continue
		}
		more := min(x.want.bytes-len(x.got), len(seen))
		x.got = append(x.got, seen[:more]...)
		seen = seen[more:]
		if len(x.got) == x.want.bytes {
			x.want, _ = x.next()
			x.got = x.got[:0]
		}
	}
	if x.failed != nil {
		return 0, x.failed
	}
	if err == io.EOF && (!x.between || x.want.skip > 0 || len(x.got) > 0) {
		err = io.ErrUnexpectedEOF // which the decoder does not notice between blocks
	}
	return n, err
}

// parse walks through the file: streams, blocks, LZMA2 chunks. It ends where the
// format does, and has failed set if it is not to be read on.
func (x *xzWatch) parse(yield func(xzWant) bool) {
	// read is the next n bytes, or nil when nobody wants to know any more.
	read := func(skip int64, n int) []byte {
		if !yield(xzWant{skip, n}) {
			return nil
		}
		return x.got
	}
	for skip := int64(0); ; {
		start := read(skip, 4)
		if string(start) == "\x00\x00\x00\x00" {
			skip = 0 // Stream Padding, section 2.2
			continue
		}
		if string(start) != xzMagic[:4] {
			x.failed = errNotXZ
			return
		}
		header := read(0, 8)
		if header == nil {
			return
		}
		x.between = false
		if skip = x.parseStream(read, header[3]&0x0f); skip < 0 {
			return
		}
		x.between = true
	}
}

// parseStream goes as far as the Index, and returns how much of the stream is left
// after it, or -1 if there is nothing more to see.
func (x *xzWatch) parseStream(read func(int64, int) []byte, check byte) int64 {
	// Section 2.1.1.2: no check, and then three kinds of each size.
	checkSize := int64(0)
	if check > 0 {
		checkSize = 4 << ((check - 1) / 3)
	}
	for skip := int64(0); ; {
		size := read(skip, 1)
		if size == nil {
			return -1
		}
		if size[0] == 0 {
			return parseIndex(read)
		}
		header := read(0, (int(size[0])+1)*4-1)
		if header == nil {
			return -1
		}
		if x.failed = checkFilters(header); x.failed != nil {
			return -1
		}
		packed := parseChunks(read)
		if packed < 0 {
			return -1
		}
		skip = -packed&3 + checkSize
	}
}

// checkFilters looks at the filters of a Block Header (section 3.1), less its first
// byte. One that makes no sense is the decoder's to refuse.
func checkFilters(header []byte) error {
	flags, rest := header[0], header[1:]
	number := func() uint64 {
		value, n := binary.Uvarint(rest)
		rest = rest[max(n, 0):]
		return value
	}
	for _, sizeIsThere := range []byte{0x40, 0x80} {
		if flags&sizeIsThere != 0 {
			number()
		}
	}
	const lzma2 = 0x21 // section 5.3.1
	if id, size := number(), number(); flags&3 != 0 || id != lzma2 {
		return errFiltered
	} else if size != 1 || len(rest) == 0 {
		return nil
	}
	if bits := rest[0] & 0x3f; int64(2|bits&1)<<(bits/2+11) > maxWindow {
		return errWindow
	}
	return nil
}

// parseChunks goes through a block's LZMA2 chunks, and returns their size.
func parseChunks(read func(int64, int) []byte) int64 {
	packed := int64(0)
	for skip := int64(0); ; {
		control := read(skip, 1)
		if control == nil {
			return -1
		}
		var sizes []byte
		properties := int64(0)
		switch c := control[0]; {
		case c == 0:
			return packed + 1
		case c >= 0x80:
			sizes = read(2, 2) // after that of what is unpacked
			packed += 2
			if c >= 0xc0 {
				properties = 1
			}
		case c <= 2:
			sizes = read(0, 2)
		}
		if sizes == nil {
			return -1
		}
		skip = properties + int64(binary.BigEndian.Uint16(sizes)) + 1
		packed += 3 + skip
	}
}

// parseIndex goes through the Index (section 4), and returns the size of its end
// and of the Stream Footer.
func parseIndex(read func(int64, int) []byte) int64 {
	size := int64(1)
	number := func() (uint64, bool) {
		value := uint64(0)
		for shift := 0; shift < 63; shift += 7 {
			b := read(0, 1)
			if b == nil {
				return 0, false
			}
			size++
			value |= uint64(b[0]&0x7f) << shift
			if b[0]&0x80 == 0 {
				return value, true
			}
		}
		return 0, false
	}
	records, ok := number()
	for i := uint64(0); ok && i < 2*records; i++ {
		_, ok = number()
	}
	if !ok {
		return -1
	}
	return -size&3 + 4 + 12
}
