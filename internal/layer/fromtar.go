package layer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
)

// FromTar makes a layer of an archive that is there already, compressed or not.
// With no compression in the options it is taken as it is, to the byte;
// otherwise it is compressed anew.
func FromTar(w io.Writer, archive io.Reader, options Options) (Metadata, error) {
	buffered := bufio.NewReaderSize(archive, splitBlock)
	found, err := detect(buffered)
	if err != nil {
		return Metadata{}, fmt.Errorf("read archive: %w", err)
	}
	if options.Compression == "" && !options.EStargz {
		return keep(w, buffered, found, options)
	}
	plain, err := decompress(buffered, found)
	if err != nil {
		return Metadata{}, err
	}
	defer func() { _ = plain.Close() }()
	return compress(w, options, func(to io.Writer) error {
		_, err := io.Copy(to, plain)
		return err
	})
}

// keep copies the blob, and reads it for its diff id on the way.
func keep(w io.Writer, archive io.Reader, found Compression, options Options) (Metadata, error) {
	blob, err := newBlobWriter(w, options.DigestFunction)
	if err != nil {
		return Metadata{}, err
	}
	tee := io.TeeReader(archive, blob)
	plain, err := decompress(tee, found)
	if err != nil {
		return Metadata{}, err
	}
	diffID := sha256.New()
	_, err = io.Copy(diffID, plain)
	_ = plain.Close()
	if err != nil {
		return Metadata{}, fmt.Errorf("read archive: %w", err)
	}
	// What follows the compressed data belongs to the blob.
	if _, err := io.Copy(io.Discard, tee); err != nil {
		return Metadata{}, fmt.Errorf("read archive: %w", err)
	}
	return blob.metadata(found, sha256Hash(diffID)), nil
}

// detect tells the compression by the first bytes.
func detect(r *bufio.Reader) (Compression, error) {
	start, err := r.Peek(4)
	if err != nil && err != io.EOF {
		return "", err
	}
	switch {
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		return Gzip, nil
	case bytes.HasPrefix(start, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return Zstd, nil
	}
	return None, nil
}

func decompress(r io.Reader, compression Compression) (io.ReadCloser, error) {
	switch compression {
	case Gzip:
		z, err := pgzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("read archive: %w", err)
		}
		return z, nil
	case Zstd:
		z, err := zstd.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("read archive: %w", err)
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(r), nil
}
