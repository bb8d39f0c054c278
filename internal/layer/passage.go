package layer

import (
	"errors"
	"io"
)

// maxHeaders bounds what comes before the content of one entry of an archive, in
// bytes: its header, and the names and attributes that are too long for one.
const maxHeaders = 8 << 20

var errHeaders = errors.New("the headers of an entry are too large")

// passage hands on the bytes of an archive while a tar reader reads them.
type passage struct {
	from io.Reader
	to   io.Writer

	// read is how many bytes have been read, and atEnd says that there are no more.
	read  int64
	atEnd bool
	// broken is what failed: to read, or to hand on.
	broken error

	way way
	// held are the bytes that wait until somebody knows what they are.
	held []byte
}

// way is what becomes of bytes that are read.
type way int

const (
	passOn   way = iota // they are handed on
	holdBack            // they are held
	dropAll             // they are gone
)

// Read implements [io.Reader].
func (p *passage) Read(b []byte) (int, error) {
	if p.atEnd {
		return 0, io.EOF
	}
	n, err := p.from.Read(b)
	p.read += int64(n)
	switch {
	case n == 0:
	case p.way == passOn:
		if _, failed := p.to.Write(b[:n]); failed != nil {
			p.broken = failed
			return n, failed
		}
	case p.way == holdBack:
		if len(p.held)+n > maxHeaders {
			p.broken = errHeaders
			return n, errHeaders
		}
		p.held = append(p.held, b[:n]...)
	}
	if err == io.EOF {
		p.atEnd = n == 0
		if n > 0 {
			err = nil
		}
	} else if err != nil {
		p.broken = err
	}
	return n, err
}

// release hands on what is held, and all that comes. The first bytes of it may be
// dropped.
func (p *passage) release(dropped int) error {
	if dropped = min(dropped, len(p.held)); dropped < len(p.held) {
		if _, err := p.to.Write(p.held[dropped:]); err != nil {
			p.broken = err
			return err
		}
	}
	p.held, p.way = p.held[:0], passOn
	return nil
}

// divide hands on the first bytes of what is held, and drops the rest and all that
// comes.
func (p *passage) divide(kept int) error {
	rest := p.held[min(kept, len(p.held)):]
	p.held = p.held[:len(p.held)-len(rest)]
	err := p.release(0)
	p.way = dropAll
	return err
}
