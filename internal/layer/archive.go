package layer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/dustin/go-humanize"
)

// tarBlock is the unit of tar archives, in bytes.
const tarBlock = 512

// archive reads a tar archive to its end, and hands on the bytes.
type archive struct {
	plain *unpacked
	to    io.Writer
	// anew says that the bytes need not stay what they are: entries that container
	// engines do not know are handed on as such that they do.
	anew bool
	// withoutGlobals leaves global headers out, which the library for eStargz refuses.
	withoutGlobals bool
	warn           func(text string)

	// start is the first block.
	start   []byte
	passage *passage
	buffer  []byte
	// entries counts them; last is the name of the last one, and inside says that its
	// content is being read.
	entries int
	last    string
	inside  bool
}

// read reads the archive with the library that container engines read it with, so
// that what it takes for a file is one for them.
func (a *archive) read() error {
	buffered := bufio.NewReaderSize(a.plain, 64<<10)
	start, err := buffered.Peek(tarBlock)
	if err != nil && err != io.EOF {
		return err
	}
	a.start = bytes.Clone(start)
	a.passage = &passage{from: buffered, to: a.to}
	a.buffer = make([]byte, 128<<10)
	r := tar.NewReader(a.passage)
	replaced := false // the last entry was not handed on as it is, so that its padding is not either
	for {
		padding := int(-a.passage.read & (tarBlock - 1))
		kept, dropped := padding, 0
		if replaced {
			kept, dropped = 0, padding
		}
		if a.anew {
			a.passage.way = holdBack
		}
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return a.end(dropped)
		}
		if err != nil {
			return a.fault(err)
		}
		a.entries++
		a.last = h.Name
		if err := checkEntry(h, a.anew); err != nil {
			return err
		}
		if replaced = a.anew && (isSparse(h) || a.isLeftOut(h)); replaced {
			err = a.replace(r, h, kept)
		} else {
			err = a.pass(r, h, dropped)
		}
		if err != nil {
			return a.fault(err)
		}
	}
}

// pass hands on the entry as it is.
func (a *archive) pass(r *tar.Reader, h *tar.Header, dropped int) error {
	if err := a.passage.release(dropped); err != nil {
		return err
	}
	if isSparse(h) {
		return nil // its content would come out with its holes; the reader passes over what is there
	}
	a.inside = true
	err := a.copyContent(io.Discard, r)
	a.inside = err != nil
	return err
}

// isLeftOut tells whether an entry is one that no container engine makes anything
// of.
func (a *archive) isLeftOut(h *tar.Header) bool {
	return h.Typeflag == volumeLabel || h.Typeflag == tar.TypeXGlobalHeader && a.withoutGlobals
}

// replace hands on an entry in the form that everybody knows: a sparse file in
// full, and the label of a volume not at all.
func (a *archive) replace(r *tar.Reader, h *tar.Header, kept int) error {
	if err := a.passage.divide(kept); err != nil {
		return err
	}
	if a.isLeftOut(h) {
		return a.copyContent(io.Discard, r)
	}
	full := *h
	full.Typeflag, full.Format = tar.TypeReg, tar.FormatPAX
	w := tar.NewWriter(a.to)
	if err := w.WriteHeader(&full); err != nil {
		return fmt.Errorf("write %s: %w", quoted(h.Name), err)
	}
	a.inside = true
	if err := a.copyContent(w, r); err != nil {
		return err
	}
	a.inside = false
	return w.Flush()
}

func (a *archive) copyContent(w io.Writer, r *tar.Reader) error {
	// Hidden from io.CopyBuffer, or it would take a small buffer of its own.
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, a.buffer)
	return err
}

// end looks at how the archive ends: with two blocks of zeros, and nothing that
// matters after them.
func (a *archive) end(dropped int) error {
	p := a.passage
	switch {
	case p.read == 0:
		return a.notTar()
	case p.read%tarBlock != 0:
		a.inside = true // GNU tar wants the padding of the last file too
		return a.fault(io.ErrUnexpectedEOF)
	}
	if err := p.release(dropped); err != nil {
		return err
	}
	if p.atEnd {
		a.tell("it has no end marker (blocks of zeros): it may have been cut off between two files, and files may be missing")
		if a.anew {
			_, err := a.to.Write(make([]byte, 2*tarBlock))
			return err
		}
		return nil
	}
	a.plain.ended = true
	if a.entries == 0 {
		a.tell("it is empty")
	}
	return a.trailer()
}

// trailer reads what follows the end, which nobody unpacks: zeros, as a rule.
func (a *archive) trailer() error {
	var odd []byte
	oddAt := int64(0)
	for at := a.passage.read; ; at += int64(len(a.buffer)) {
		n, err := io.ReadFull(a.passage, a.buffer)
		if a.passage.broken != nil {
			return a.fault(err)
		}
		for i := 0; i < n && odd == nil; i += tarBlock {
			if b := a.buffer[i:min(i+tarBlock, n)]; !isZero(b) {
				odd, oddAt = bytes.Clone(b), at+int64(i)
			}
		}
		if err != nil {
			break
		}
	}
	switch {
	case odd == nil:
	case a.entries == 0:
		return fmt.Errorf("it begins with zeros, as an empty archive does, but has other bytes from byte %d on. It is not a tar archive, but perhaps a disk image; %s", oddAt, whatIsTaken)
	case isHeader(odd):
		return fmt.Errorf("a second archive follows the first, at byte %d, and no tool would unpack it: join both into one archive (tar --concatenate), or make two layers", oddAt)
	default:
		a.tell(fmt.Sprintf("no tool unpacks what follows its end, from byte %d on", oddAt))
	}
	return nil
}

func (a *archive) tell(text string) {
	if a.warn != nil {
		a.warn(text)
	}
}

// fault says what is wrong, of which err is what the tar reader says.
func (a *archive) fault(err error) error {
	const again = "fetch or make the file again"
	p := a.passage
	after := "at its beginning"
	if a.entries > 0 {
		after = "after " + quoted(a.last)
	}
	if a.plain.compression != None && p.broken == nil {
		// Damage makes nonsense of an archive before a checksum shows it.
		_, _ = io.CopyN(io.Discard, a.plain, 4<<20)
	}
	switch {
	case a.plain.broken != nil:
		return a.plain.broken
	case errors.Is(p.broken, errHeaders):
		return fmt.Errorf("the headers of one entry, %s, must have at most %s", after, humanize.IBytes(maxHeaders))
	case p.broken != nil:
		return p.broken
	case a.entries == 0 && !isHeader(a.start):
		return a.notTar()
	case errors.Is(err, io.ErrUnexpectedEOF) && a.inside:
		return fmt.Errorf("the archive ends in the middle of %s, at byte %d: the file was cut off; %s", quoted(a.last), p.read, again)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the archive ends in the middle of a header, %s, at byte %d: the file was cut off; %s", after, p.read, again)
	case errors.Is(err, tar.ErrFieldTooLong):
		return fmt.Errorf("the name or the attributes of the entry %s, at byte %d, have more than the 1 MiB that container engines allow", after, p.read)
	case a.inside:
		return fmt.Errorf("unpack %s, at byte %d: %w; %s", quoted(a.last), p.read, err, again)
	}
	return fmt.Errorf("a header %s, before byte %d, is damaged (%w); %s", after, p.read, err, again)
}

func (a *archive) notTar() error {
	what, todo := kindOf(a.start)
	if a.plain.compression != None {
		return fmt.Errorf("under its %s compression, this is %s, not a tar archive; %s", a.plain.compression, what, todo)
	}
	return fmt.Errorf("this is %s, not a tar archive; %s", what, todo)
}

// isHeader tells whether a block is the header of an entry.
func isHeader(b []byte) bool {
	_, err := tar.NewReader(bytes.NewReader(b)).Next()
	return len(b) == tarBlock && !isZero(b) && !errors.Is(err, tar.ErrHeader)
}

func isZero(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 })
}

// quoted is a name for a message, which has an end.
func quoted(name string) string {
	if len(name) > 200 {
		name = name[:200] + "…"
	}
	return fmt.Sprintf("%q", name)
}
