package layer

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
)

// ArchiveOptions say how a layer is made from an archive.
type ArchiveOptions struct {
	// Options are the blob's. Without a Compression and without EStargz, the blob is
	// the archive, byte for byte.
	Options
	// Otherwise is the compression of an archive that cannot be a blob unchanged:
	// layers have no media type for xz and bzip2. Defaults to Gzip. OtherwiseEStargz
	// makes the blob of such an archive seekable.
	Otherwise        Compression
	OtherwiseEStargz bool
	// Warn, if set, gets a text for what is odd about an archive that is accepted.
	Warn func(text string)
}

// FromTar makes a layer from an existing archive: plain, or compressed with gzip,
// zstd, xz or bzip2. It reads the archive once, checks every header, and uses memory
// that does not grow with the archive. If the file is not a tar archive, the error
// says what it is; if it is broken, the error says where. After an error the blob
// that was written is useless.
func FromTar(w io.Writer, file io.Reader, options ArchiveOptions) (Metadata, error) {
	buffered := bufio.NewReaderSize(file, splitBlock)
	found, err := detect(buffered)
	if err != nil {
		return Metadata{}, fmt.Errorf("read archive: %w", err)
	}
	if options.Compression == "" && !options.EStargz {
		if found.ofLayers() {
			return keep(w, buffered, found, options)
		}
		options.Compression, options.EStargz = options.Otherwise, options.OtherwiseEStargz
	}
	plain, err := unpack(buffered, found)
	if err != nil {
		return Metadata{}, err
	}
	defer plain.Close()
	var fault error
	m, err := compress(w, options.Options, func(to io.Writer) error {
		a := archive{plain: plain, to: to, anew: true, withoutGlobals: options.EStargz, warn: options.Warn}
		fault = a.read()
		return fault
	})
	if fault != nil {
		return Metadata{}, fault
	}
	return m, err
}

// keep copies the blob, and reads it on the way.
func keep(w io.Writer, file io.Reader, found Compression, options ArchiveOptions) (Metadata, error) {
	blob, err := newBlobWriter(w, options.DigestFunction)
	if err != nil {
		return Metadata{}, err
	}
	tee := io.TeeReader(file, blob)
	plain, err := unpack(tee, found)
	if err != nil {
		return Metadata{}, err
	}
	diffID := blob.digest
	a := archive{plain: plain, to: io.Discard, warn: options.Warn}
	if found != None {
		diffID = sha256.New()
		a.to = diffID
	}
	err = a.read()
	plain.Close()
	if err != nil {
		return Metadata{}, err
	}
	return blob.metadata(found, sha256Hash(diffID)), nil
}
