package layer

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/zeebo/blake3"

	"github.com/drayage/drayage/pushspec"
)

// Options say how a layer is written.
type Options struct {
	// Compression of the blob. Defaults to Gzip.
	Compression Compression
	// DigestFunction is the one under which the build's cache knows the blob:
	// "sha256" (the default) or "blake3".
	DigestFunction string
}

// epoch is the time of every entry.
var epoch = time.Unix(0, 0).UTC()

// writeBuffer gathers the small writes of tar headers before they are hashed and
// compressed, in bytes.
const writeBuffer = 256 << 10

// Write writes the layer of the entries to w, in one pass and in memory that
// does not grow with it, and returns what is to be known of it.
func Write(w io.Writer, entries []Entry, options Options) (Metadata, error) {
	if options.Compression == "" {
		options.Compression = Gzip
	}
	entries, err := arrange(entries)
	if err != nil {
		return Metadata{}, err
	}
	blob, err := newBlobWriter(w, options.DigestFunction)
	if err != nil {
		return Metadata{}, err
	}
	compressed, err := options.Compression.compressor(blob)
	if err != nil {
		return Metadata{}, err
	}
	diffID := sha256.New()
	buffer := bufio.NewWriterSize(io.MultiWriter(compressed, diffID), writeBuffer)
	if err := writeArchive(buffer, entries); err != nil {
		return Metadata{}, err
	}
	if err := buffer.Flush(); err != nil {
		return Metadata{}, fmt.Errorf("write layer: %w", err)
	}
	if err := compressed.Close(); err != nil {
		return Metadata{}, fmt.Errorf("write layer: %w", err)
	}
	return Metadata{
		Blob: pushspec.Blob{
			Descriptor: v1.Descriptor{
				MediaType: options.Compression.MediaType(),
				Digest:    sha256Hash(blob.digest),
				Size:      blob.size,
			},
			Sources: []pushspec.Source{{CAS: blob.casDigest()}},
		},
		DiffID: sha256Hash(diffID),
	}, nil
}

func writeArchive(w io.Writer, entries []Entry) error {
	archive := tar.NewWriter(w)
	// The executable of a binary is among its own runfiles too: what comes from
	// one source a second time is a hard link, and its bytes are there once.
	first := make(map[Entry]string)
	for _, e := range entries {
		content := Entry{Source: e.Source, Mode: e.Mode}
		original, again := first[content]
		if e.Source != "" && !again {
			first[content] = e.Path
		}
		if err := writeEntry(archive, e, original); err != nil {
			return fmt.Errorf("write /%s: %w", e.Path, err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("write layer: %w", err)
	}
	return nil
}

// writeEntry writes one entry: a hard link if there is an original to link to.
func writeEntry(archive *tar.Writer, e Entry, original string) error {
	header := &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     e.Path,
		Mode:     int64(e.Mode.Perm()),
		ModTime:  epoch,
	}
	switch {
	case e.Dir:
		header.Typeflag, header.Name = tar.TypeDir, e.Path+"/"
		return archive.WriteHeader(header)
	case e.Link != "":
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, e.Link, 0o777
		return archive.WriteHeader(header)
	case original != "":
		header.Typeflag, header.Linkname = tar.TypeLink, original
		return archive.WriteHeader(header)
	case e.Source == "":
		return archive.WriteHeader(header)
	}
	file, err := os.Open(e.Source)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", e.Source)
	}
	header.Size = info.Size()
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if _, err := io.Copy(archive, file); err != nil {
		return fmt.Errorf("copy %s: %w", e.Source, err)
	}
	return nil
}

// blobWriter measures and hashes the blob on its way.
type blobWriter struct {
	w      io.Writer
	size   int64
	digest hash.Hash
	// cas is the hash under the build's digest function where that is not SHA-256.
	cas hash.Hash
}

func newBlobWriter(w io.Writer, function string) (*blobWriter, error) {
	b := &blobWriter{w: w, digest: sha256.New()}
	switch function {
	case "", "sha256":
	case "blake3":
		b.cas = blake3.New()
	default:
		return nil, fmt.Errorf("digest function %q is not sha256 or blake3", function)
	}
	return b, nil
}

func (b *blobWriter) Write(p []byte) (int, error) {
	n, err := b.w.Write(p)
	b.size += int64(n)
	b.digest.Write(p[:n])
	if b.cas != nil {
		b.cas.Write(p[:n])
	}
	return n, err
}

// casDigest is the blob's digest in the build's cache, as a push spec has it.
func (b *blobWriter) casDigest() string {
	if b.cas != nil {
		return "blake3:" + hex.EncodeToString(b.cas.Sum(nil))
	}
	return sha256Hash(b.digest).String()
}

func sha256Hash(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}
