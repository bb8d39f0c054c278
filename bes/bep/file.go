package bep

import (
	"bytes"
	"crypto/sha256"
	"strings"

	"github.com/drayage/drayage/bes/wire"
)

// File is one file that a build event names.
type File struct {
	// Name is the file's path below its output root, as Bazel gives it.
	Name string
	// URI is where Bazel says the bytes are: bytestream:// with a remote cache,
	// file:// without. Empty where Contents holds them.
	URI string
	// Contents are the file's bytes where the event holds them itself.
	Contents []byte
	// Digest is hexadecimal, under Function.
	Digest string
	// Length is in bytes.
	Length int64
	// Function is the digest function as the Remote Execution API spells it in
	// lower case: "sha256", "blake3". Empty where it cannot be told.
	Function string
	// Host is the remote cache's host and port that URI gives, without the credentials
	// that may be there.
	Host string
	// Instance is the remote cache's instance name that URI gives, often empty.
	Instance string
}

// identity is what makes two files the same push spec: the digest, or failing
// that the place or the bytes.
func (f *File) identity() string {
	switch {
	case f.Digest != "":
		return f.Function + ":" + f.Digest
	case f.URI != "":
		return f.URI
	default:
		sum := sha256.Sum256(f.Contents)
		return f.Name + "\x00" + string(sum[:])
	}
}

// encoded is the file as an event has it, with what is read and nothing else.
func (f *File) encoded() []byte {
	b := appendField(nil, 1, []byte(f.Name))
	if f.Contents != nil {
		b = appendField(b, 3, f.Contents)
	} else {
		b = appendField(b, 2, []byte(f.URI))
	}
	return appendVarint(appendField(b, 5, []byte(f.Digest)), 6, uint64(f.Length))
}

// size is roughly what keeping f costs, in bytes of memory.
func (f *File) size() int64 {
	const fixed = 128 // the struct and its place in a slice
	return int64(fixed + len(f.Name) + len(f.URI) + len(f.Contents) + len(f.Digest) + len(f.Host) + len(f.Instance))
}

// fileName returns the name field of an encoded File without decoding the rest.
func fileName(b []byte) ([]byte, error) { return wire.Sub(b, 1) }

// readFile decodes a File. ok is false for one without bytes to read: a symlink.
func readFile(b []byte) (f File, ok bool, err error) {
	m := wire.Walk(b)
	for m.Next() {
		if m.VarintNum == 6 {
			f.Length = max(0, int64(m.Varint))
		}
		switch m.Num {
		case 1:
			f.Name, err = bounded("name of a file", m.Bytes, maxFileName)
		case 2:
			f.URI, err = bounded("URI of a file", m.Bytes, maxFileURI)
			f.Contents, ok = nil, len(m.Bytes) > 0
		case 3:
			f.URI, f.Contents, ok = "", bytes.Clone(m.Bytes), true
		case 5:
			f.Digest, err = bounded("digest of a file", m.Bytes, maxDigest)
		case 7:
			f.URI, f.Contents, ok = "", nil, false
		}
		if err != nil {
			return File{}, false, err
		}
	}
	if m.Err != nil || !ok {
		return File{}, false, m.Err
	}
	f.complete()
	return f, true, nil
}

// complete fills in from the URI what the event does not say: all of it before
// Bazel 6, and the digest function and the instance in every version.
func (f *File) complete() {
	if uri, ok := ParseURI(f.URI); ok {
		if f.Digest == "" || strings.EqualFold(f.Digest, uri.Hash) {
			f.Digest, f.Length, f.Function = uri.Hash, uri.Size, uri.Function
		}
		f.Host, f.Instance = uri.Host, uri.Instance
	}
	f.Digest = strings.ToLower(f.Digest)
	if f.Function == "" && f.Digest != "" {
		f.Function = functionByLength(len(f.Digest))
	}
	if f.Contents != nil && f.Length == 0 {
		f.Length = int64(len(f.Contents))
	}
}
