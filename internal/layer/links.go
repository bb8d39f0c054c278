package layer

import (
	"crypto/sha256"
	"fmt"
)

// originals knows which files a layer has, so that a file like one of them can be
// a hard link to it: the executable of a binary is among its own runfiles, and
// runfiles of several binaries have much in common.
type originals struct {
	paths map[original]string
	// large are the large files by size: they are hashed only where there is
	// another of the same size.
	large map[int64][]*largeFile
}

// original is what two files have to have in common to be one.
type original struct {
	size       int64
	sum        [sha256.Size]byte
	attributes string
}

type largeFile struct {
	source string
	sum    [sha256.Size]byte
	summed bool
}

func newOriginals() *originals {
	return &originals{paths: map[original]string{}, large: map[int64][]*largeFile{}}
}

// of is the path of the file that e is to be a hard link to, or "". If there is
// none, e is one for those that come.
func (o *originals) of(e Entry, c content) (string, error) {
	if c.size == 0 {
		return "", nil // a link would be no smaller
	}
	key := original{size: c.size, sum: c.sum, attributes: fmt.Sprint(e.Attributes)}
	if c.data == nil {
		sum, err := o.sumLarge(e.Source, c.size)
		if err != nil {
			return "", err
		}
		key.sum = sum
	}
	if path, found := o.paths[key]; found {
		return path, nil
	}
	o.paths[key] = e.Path
	return "", nil
}

// sumLarge is the digest of a large file, or of its name while no other has its
// size.
func (o *originals) sumLarge(source string, size int64) ([sha256.Size]byte, error) {
	others := o.large[size]
	for _, other := range others {
		if other.source == source {
			return other.key(), nil
		}
	}
	this := &largeFile{source: source}
	o.large[size] = append(others, this)
	if len(others) == 0 {
		return this.key(), nil
	}
	sum, err := sumFile(source)
	if err != nil {
		return sum, err
	}
	for _, other := range others {
		if !other.summed {
			if other.sum, err = sumFile(other.source); err != nil {
				return sum, err
			}
			other.summed = true
		}
		if other.sum == sum {
			this.sum, this.summed = other.sum, true
			return other.key(), nil
		}
	}
	this.sum, this.summed = sum, true
	return this.key(), nil
}

// key names the content. It is made of the source, and not of the digest, which
// is known of some files only; files of the same content share the key of the
// first.
func (f *largeFile) key() [sha256.Size]byte { return sha256.Sum256([]byte(f.source)) }
