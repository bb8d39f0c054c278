package layer

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/containerd/stargz-snapshotter/estargz"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// stargzParts is how many parts of an eStargz layer are compressed at a time. The
// blob depends on it, so that it is not the number of processors.
const stargzParts = 4

// writeEStargz writes the archive as eStargz: each file is a gzip member of its
// own, and a table of contents at the end says where. The table is made from the
// whole archive, which has to be on disk for it.
func writeEStargz(w io.Writer, options Options, write func(io.Writer) error) (m Metadata, err error) {
	if options.Compression != Gzip {
		return Metadata{}, fmt.Errorf("eStargz needs gzip, but this layer is %s", options.Compression)
	}
	archive, err := os.CreateTemp(options.Scratch, "layer-*.tar")
	if err != nil {
		return Metadata{}, fmt.Errorf("make temporary archive: %w", err)
	}
	defer func() {
		_ = archive.Close()
		_ = os.Remove(archive.Name())
	}()
	buffered := bufio.NewWriterSize(archive, splitBlock)
	if err := write(buffered); err != nil {
		return Metadata{}, fmt.Errorf("write layer: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return Metadata{}, fmt.Errorf("write temporary archive: %w", err)
	}
	info, err := archive.Stat()
	if err != nil {
		return Metadata{}, fmt.Errorf("write temporary archive: %w", err)
	}

	level := options.Level
	if level == 0 {
		level = gzip.BestCompression // the library's own default
	}
	built, err := estargz.Build(io.NewSectionReader(archive, 0, info.Size()),
		estargz.WithCompressionLevel(level), estargz.WithParallelism(stargzParts))
	if err != nil {
		return Metadata{}, fmt.Errorf("make eStargz layer: %w", err)
	}
	defer func() { _ = built.Close() }()
	blob, err := newBlobWriter(w, options.DigestFunction)
	if err != nil {
		return Metadata{}, err
	}
	if _, err := io.Copy(blob, built); err != nil {
		return Metadata{}, fmt.Errorf("make eStargz layer: %w", err)
	}
	diffID, err := v1.NewHash(built.DiffID().String())
	if err != nil {
		return Metadata{}, fmt.Errorf("make eStargz layer: %w", err)
	}
	size, err := built.UncompressedSize()
	if err != nil {
		return Metadata{}, fmt.Errorf("make eStargz layer: %w", err)
	}
	m = blob.metadata(Gzip, diffID)
	m.Annotations = map[string]string{
		estargz.TOCJSONDigestAnnotation:         built.TOCDigest().String(),
		estargz.StoreUncompressedSizeAnnotation: strconv.FormatInt(size, 10),
	}
	return m, nil
}
