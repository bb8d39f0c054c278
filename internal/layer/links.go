package layer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
)

// originals knows which files a layer has, so that a file like one of them can be
// a hard link to it: the executable of a binary is among its own runfiles, and
// runfiles of several binaries have much in common.
type originals struct {
	files map[likeness][]original
	// one and other are for comparing files.
	one, other []byte
}

// likeness is what two files have in common that may be one.
type likeness struct {
	size     int64
	quick    uint64
	mode     fs.FileMode
	uid, gid int
	modTime  int64
	xattrs   string
}

// original is a file that others may be links to.
type original struct{ path, source string }

func newOriginals() *originals { return &originals{files: map[likeness][]original{}} }

// of is the path of the file that e is to be a hard link to, or "". If there is
// none, e is one for those that come.
func (o *originals) of(e Entry, c content) (string, error) {
	if c.size == 0 {
		return "", nil // a link would be no smaller
	}
	like := likeness{size: c.size, quick: c.quick, mode: e.Mode, uid: e.uid, gid: e.gid, modTime: e.modTime.Unix()}
	for _, name := range slices.Sorted(maps.Keys(e.xattrs)) {
		like.xattrs += fmt.Sprintf("%q=%q ", name, e.xattrs[name])
	}
	for _, candidate := range o.files[like] {
		same, err := o.same(candidate.source, e.source, c)
		if err != nil {
			return "", err
		}
		if same {
			return candidate.path, nil
		}
	}
	o.files[like] = append(o.files[like], original{e.path, e.source})
	return "", nil
}

// same compares byte by byte: what is quick tells files apart, and does not tell
// that they are one.
func (o *originals) same(candidate, source string, c content) (bool, error) {
	if candidate == source {
		return true, nil
	}
	if o.one == nil {
		o.one, o.other = make([]byte, compareBlock), make([]byte, compareBlock)
	}
	first, err := os.Open(candidate)
	if err != nil {
		return false, err
	}
	defer func() { _ = first.Close() }()
	second := io.Reader(bytes.NewReader(c.data))
	if c.data == nil {
		file, err := os.Open(source)
		if err != nil {
			return false, err
		}
		defer func() { _ = file.Close() }()
		second = file
	}
	for {
		n, errOne := io.ReadFull(first, o.one)
		m, errOther := io.ReadFull(second, o.other)
		if !bytes.Equal(o.one[:n], o.other[:m]) {
			return false, nil
		}
		if errOne == nil && errOther == nil {
			continue
		}
		for _, err := range []error{errOne, errOther} {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return false, fmt.Errorf("compare %s with %s: %w", candidate, source, errors.Join(errOne, errOther))
			}
		}
		return true, nil
	}
}

// compareBlock is how much of two files is compared at a time, in bytes.
const compareBlock = 256 << 10
