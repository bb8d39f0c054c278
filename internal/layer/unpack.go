package layer

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/dustin/go-humanize"
	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
	"github.com/ulikunitz/xz"
)

// Compressions that archives have and layers do not: the OCI image spec has no
// media type for them.
const (
	xzFile    Compression = "xz"
	bzip2File Compression = "bzip2"
)

// ofLayers tells whether a layer may be compressed so.
func (c Compression) ofLayers() bool { return c == Gzip || c == Zstd || c == None }

// maxWindow bounds how far back compressed data may refer, in bytes, and with it
// the memory that it takes to unpack them. It is what zstd itself allows, and twice
// what `xz -9` needs.
const maxWindow = 128 << 20

// detect tells the compression by the first bytes.
func detect(r *bufio.Reader) (Compression, error) {
	start, err := r.Peek(10)
	if err != nil && err != io.EOF {
		return "", err
	}
	switch {
	case bytes.HasPrefix(start, []byte("\x1f\x8b")):
		return Gzip, nil
	case bytes.HasPrefix(start, []byte("\x28\xb5\x2f\xfd")), isSkippable(start):
		return Zstd, nil
	case bytes.HasPrefix(start, []byte(xzMagic)):
		return xzFile, nil
	case isBzip2(start):
		return bzip2File, nil
	}
	return None, nil
}

// isSkippable tells whether a skippable frame of zstd begins, as pzstd's files do
// (RFC 8878, section 3.1.2).
func isSkippable(start []byte) bool {
	return len(start) >= 4 && start[0]&0xf0 == 0x50 && string(start[1:4]) == "\x2a\x4d\x18"
}

// isBzip2 tells whether a bzip2 file begins: "BZh", a level, and the magic number
// of a block or of the end.
func isBzip2(start []byte) bool {
	return len(start) >= 10 && string(start[:3]) == "BZh" && '1' <= start[3] && start[3] <= '9' &&
		(string(start[4:10]) == "\x31\x41\x59\x26\x53\x59" || string(start[4:10]) == "\x17\x72\x45\x38\x50\x90")
}

// unpacked is what a file holds once it is decompressed. Its errors say what is
// wrong with the compressed data.
type unpacked struct {
	from        io.Reader
	compression Compression
	close       func()
	// count is how many bytes have come out so far, and ended says that the archive
	// has ended with them.
	count int64
	ended bool
	// broken is the first error, but for the end.
	broken error
}

// unpack decompresses. What follows the compressed data is an error, as it is for
// container engines, and not ignored, as by gzip itself.
func unpack(r io.Reader, compression Compression) (*unpacked, error) {
	u := &unpacked{from: r, compression: compression, close: func() {}}
	var err error
	switch compression {
	case Gzip:
		var z *pgzip.Reader
		if z, err = pgzip.NewReader(r); err == nil {
			u.from, u.close = z, func() { _ = z.Close() }
		}
	case Zstd:
		var z *zstd.Decoder
		if z, err = zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			u.from, u.close = z, z.Close
		}
	case xzFile:
		watch := newXZWatch(r)
		u.close = watch.stop
		u.from, err = xz.NewReader(watch)
	case bzip2File:
		u.from = bzip2.NewReader(r)
	}
	if err != nil {
		u.Close()
		return nil, u.inWords(err)
	}
	return u, nil
}

// Close stops what decompresses.
func (u *unpacked) Close() { u.close() }

// Read implements [io.Reader].
func (u *unpacked) Read(p []byte) (int, error) {
	if u.broken != nil {
		return 0, u.broken
	}
	n, err := u.from.Read(p)
	u.count += int64(n)
	if err != nil && err != io.EOF {
		u.broken = u.inWords(err)
		err = u.broken
	}
	return n, err
}

// inWords says what is wrong with the compressed data.
func (u *unpacked) inWords(err error) error {
	switch {
	case u.compression == None:
		return fmt.Errorf("read archive: %w", err)
	case errors.Is(err, errWindow), errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fmt.Errorf("unpacking the %s data needs a window of more than %s; compress the archive anew, without --long or a large dictionary",
			u.compression, humanize.IBytes(maxWindow))
	case errors.Is(err, errFiltered):
		return errors.New("the xz data use filters, such as those of xz --x86 or --delta; compress the archive anew without filters")
	case u.count > 0 && isOther(err):
		return fmt.Errorf("something other than %s follows the %s data, after %d bytes of the archive. Container engines do not unpack such a file; make it again without what follows",
			u.compression, u.compression, u.count)
	case u.ended && errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the %s data are cut off after the end of the archive, or followed by something else; fetch or make the file again", u.compression)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("the %s data end early, after %d bytes of the archive: the file was cut off; fetch or make it again", u.compression, u.count)
	}
	return fmt.Errorf("the %s data are damaged, after %d bytes of the archive (%w); fetch or make the file again", u.compression, u.count, err)
}

// isOther tells whether err is a decoder's that finds something else where its own
// format could go on.
func isOther(err error) bool {
	return errors.Is(err, pgzip.ErrHeader) || errors.Is(err, zstd.ErrMagicMismatch) || errors.Is(err, errNotXZ) ||
		errors.Is(err, bzip2.StructuralError("bad magic value in continuation file"))
}
