package layer

import (
	"archive/tar"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/pushspec"
)

// Options say how a layer is written.
type Options struct {
	// Compression of the blob. Defaults to Gzip.
	Compression Compression
	// Level of the compression: 1 to 9 for gzip, 1 to 22 for zstd. 0 is the default,
	// which is 6 for gzip and 1 for zstd.
	Level int
	// EStargz makes a gzip layer seekable, so that a container can start before all
	// of it has arrived.
	EStargz bool
	// Copies writes every file in full. By default, a file that equals an earlier one
	// becomes a hard link to it.
	Copies bool
	// Parents adds an entry for each parent directory that has none. By default, a
	// directory that nobody named has no entry, so that it stays as it is in the
	// layers below: a link, for example, or a directory of another user.
	Parents bool
	// DigestFunction is the digest function of the build's cache: "sha256" (the
	// default) or "blake3".
	DigestFunction string
	// Scratch is a folder for temporary files. Only EStargz needs it. Defaults to the
	// system's temporary folder.
	Scratch string
}

// epoch is the time of every entry that has no other.
var epoch = time.Unix(0, 0).UTC()

// Write writes the layer of the entries to w and returns its metadata. It needs one
// pass, and memory that does not grow with the content of the entries.
func Write(w io.Writer, entries []Entry, options Options) (Metadata, error) {
	entries, err := arrange(entries, options.Parents)
	if err != nil {
		return Metadata{}, err
	}
	return compress(w, options, func(archive io.Writer) error {
		return writeArchive(archive, entries, options.Copies)
	})
}

// compress writes the blob of the archive that write writes.
func compress(w io.Writer, options Options, write func(io.Writer) error) (Metadata, error) {
	if options.Compression == "" {
		options.Compression = Gzip
	}
	if options.EStargz {
		return writeEStargz(w, options, write)
	}
	blob, err := newBlobWriter(w, options.DigestFunction)
	if err != nil {
		return Metadata{}, err
	}
	compressed, err := options.Compression.compressor(blob, options.Level)
	if err != nil {
		return Metadata{}, err
	}
	diffID := sha256.New()
	both := newSplitter(compressed, diffID)
	err = write(both)
	if closeErr := both.Close(); err == nil {
		err = closeErr
	}
	if closeErr := compressed.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return Metadata{}, fmt.Errorf("write layer: %w", err)
	}
	return blob.metadata(options.Compression, sha256Hash(diffID)), nil
}

func writeArchive(w io.Writer, entries []Entry, copies bool) error {
	archive := tar.NewWriter(w)
	known := newOriginals()
	ahead := readContents(entries)
	defer ahead.close()
	buffer := make([]byte, 256<<10)
	for _, e := range entries {
		c := ahead.next()
		if c.err == nil && e.source != "" && !copies {
			var like string
			if like, c.err = known.of(e, c); like != "" {
				h := e.header()
				h.Typeflag, h.Linkname = tar.TypeLink, like
				if err := archive.WriteHeader(h); err != nil {
					return fmt.Errorf("write /%s: %w", e.path, err)
				}
				continue
			}
		}
		if c.err == nil {
			c.err = writeEntry(archive, e, c, buffer)
		}
		if c.err != nil {
			return fmt.Errorf("write /%s: %w", e.path, c.err)
		}
	}
	return archive.Close()
}

func writeEntry(archive *tar.Writer, e Entry, c content, buffer []byte) error {
	header := e.header()
	header.Size = c.size
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if c.data != nil || c.size == 0 {
		_, err := archive.Write(c.data)
		return err
	}
	file, err := os.Open(e.source)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	// Hidden from io.CopyBuffer, or it would take a small buffer of its own.
	_, err = io.CopyBuffer(struct{ io.Writer }{archive}, struct{ io.Reader }{file}, buffer)
	return err
}

// metadata is what is known of the blob that was written.
func (b *blobWriter) metadata(compression Compression, diffID v1.Hash) Metadata {
	return Metadata{
		Blob: pushspec.Blob{
			Descriptor: v1.Descriptor{
				MediaType: compression.mediaType(),
				Digest:    sha256Hash(b.digest),
				Size:      b.size,
			},
			Sources: []pushspec.Source{{CAS: b.casDigest()}},
		},
		DiffID: diffID,
	}
}
