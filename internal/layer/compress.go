package layer

import (
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
)

// Compression is how a layer's blob is compressed.
type Compression string

// The compressions that the OCI image spec has media types for.
const (
	Gzip Compression = "gzip"
	Zstd Compression = "zstd"
	None Compression = "none"
)

// MediaType is the media type of a layer under this compression.
func (c Compression) MediaType() types.MediaType {
	switch c {
	case Zstd:
		return types.OCILayerZStd
	case None:
		return types.OCIUncompressedLayer
	default:
		return types.OCILayer
	}
}

const (
	// gzipBlock is how much of the archive one thread compresses at a time. The
	// blob depends on it, and not on the number of threads.
	gzipBlock = 1 << 20

	// compressors bounds the threads. It is not the number of processors: for zstd
	// the blob must not depend on the machine.
	compressors = 4
)

// compressor writes to w what is written to it, compressed.
func (c Compression) compressor(w io.Writer) (io.WriteCloser, error) {
	switch c {
	case Gzip:
		z, err := pgzip.NewWriterLevel(w, pgzip.DefaultCompression)
		if err != nil {
			return nil, fmt.Errorf("compress with gzip: %w", err)
		}
		if err := z.SetConcurrency(gzipBlock, compressors); err != nil {
			return nil, fmt.Errorf("compress with gzip: %w", err)
		}
		return z, nil
	case Zstd:
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(compressors))
		if err != nil {
			return nil, fmt.Errorf("compress with zstd: %w", err)
		}
		return z, nil
	case None:
		return nopCloser{w}, nil
	}
	return nil, fmt.Errorf("compression %q is not gzip, zstd or none", c)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
