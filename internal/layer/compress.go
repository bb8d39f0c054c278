package layer

import (
	"compress/gzip"
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

// mediaType is the media type of a layer under this compression.
func (c Compression) mediaType() types.MediaType {
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
	// gzipBlock and zstdFrame are how much of the archive is compressed by itself,
	// in bytes, on whatever processors there are. The blob depends on them, and not
	// on the number of processors. A zstd frame is a compressed file of its own, and
	// a file may have many of them (RFC 8878, section 3).
	gzipBlock = 1 << 20
	zstdFrame = 4 << 20

	// compressors bounds what is compressed at a time, and with it the memory.
	compressors = 8
)

// defaultZstdLevel takes a third less time than zstd's own default, 3, for a blob
// that is larger by two percent.
const defaultZstdLevel = 1

// compressor writes to w what is written to it, compressed. Level 0 is the
// default.
func (c Compression) compressor(w io.Writer, level int) (io.WriteCloser, error) {
	switch c {
	case Gzip:
		if level < 0 || level > gzip.BestCompression {
			return nil, fmt.Errorf("gzip level %d must be between 1 and 9", level)
		}
		if level == 0 {
			level = gzip.DefaultCompression
		}
		z, err := pgzip.NewWriterLevel(w, level)
		if err != nil {
			return nil, fmt.Errorf("compress with gzip: %w", err)
		}
		if err := z.SetConcurrency(gzipBlock, compressors); err != nil {
			return nil, fmt.Errorf("compress with gzip: %w", err)
		}
		return z, nil
	case Zstd:
		if level < 0 || level > 22 {
			return nil, fmt.Errorf("zstd level %d must be between 1 and 22", level)
		}
		if level == 0 {
			level = defaultZstdLevel
		}
		z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)), zstd.WithWindowSize(zstdFrame))
		if err != nil {
			return nil, fmt.Errorf("compress with zstd: %w", err)
		}
		return newBlocks(w, zstdFrame, z.EncodeAll), nil
	case None:
		if level != 0 {
			return nil, fmt.Errorf("level %d must not be set without compression", level)
		}
		return nopCloser{w}, nil
	}
	return nil, fmt.Errorf("compression %q must be gzip, zstd or none", c)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
