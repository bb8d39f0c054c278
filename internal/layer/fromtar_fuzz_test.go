package layer_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/drayage/drayage/internal/layer"
)

// FuzzFromTar has others read what is taken: the library that container engines
// read archives with, and Go's own gzip. A file that is written anew holds what it
// held.
func FuzzFromTar(f *testing.F) {
	plain := archiveOf(f,
		tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "g", PAXRecords: map[string]string{"comment": "0"}},
		tar.Header{Name: "a", Size: 600, Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.user.a": "b"}},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "../a"},
		tar.Header{Typeflag: tar.TypeLink, Name: "h", Linkname: "a"},
	)
	for _, archive := range [][]byte{plain, plain[:1700], gnuSparse(f), paxSparse(f), {}, []byte("text")} {
		for _, how := range []string{"none", "gzip", "zstd", "xz"} {
			f.Add(packed(f, how, archive), how == "none")
		}
	}
	f.Fuzz(func(t *testing.T, file []byte, mend bool) {
		// Headers with wrong checksums lead nowhere.
		for at := 0; mend && at+512 <= len(file); at += 512 {
			if string(file[at+257:at+262]) == "ustar" {
				file = edited(t, file, at, func([]byte) {})
			}
		}
		kept := bounded{left: 16 << 20}
		made, err := layer.FromTar(&kept, bytes.NewReader(file), layer.ArchiveOptions{Otherwise: layer.None})
		if err != nil {
			return
		}
		if !bytes.Equal(kept.Bytes(), file) && !bytes.HasPrefix(file, []byte("\xfd7zXZ\x00")) && !bytes.HasPrefix(file, []byte("BZh")) {
			t.Error("the blob is not the file")
		}
		before := readToTheEnd(t, plainOf(t, kept.Bytes(), compressionOf(made)), made)

		written := bounded{left: 16 << 20}
		anew, err := layer.FromTar(&written, bytes.NewReader(file), layer.ArchiveOptions{Options: layer.Options{Compression: layer.None}})
		if errors.Is(err, errTooMuch) {
			return
		}
		if err != nil {
			t.Fatalf("as it is the archive is taken, and written anew it is not: %v", err)
		}
		if after := readToTheEnd(t, &written.Buffer, anew); after != before {
			t.Errorf("written anew, the archive holds\n%s\nand before\n%s", after, before)
		}
	})
}

var errTooMuch = errors.New("too much")

// bounded fails where an archive unpacks to more than a fuzzer has time for.
type bounded struct {
	bytes.Buffer

	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errTooMuch
	}
	return b.Buffer.Write(p)
}

func plainOf(t *testing.T, blob []byte, compression layer.Compression) io.Reader {
	t.Helper()
	var r io.Reader = bytes.NewReader(blob)
	var err error
	switch compression {
	case layer.Gzip:
		r, err = gzip.NewReader(r)
	case layer.Zstd:
		r, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// readToTheEnd is what the archive holds, as text. Files with large holes are not
// read.
func readToTheEnd(t *testing.T, plain io.Reader, made layer.Metadata) string {
	t.Helper()
	sum := sha256.New()
	plain = io.TeeReader(plain, sum)
	text := ""
	for r := tar.NewReader(plain); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content := sha256.New()
		n, err := io.Copy(content, io.LimitReader(r, 16<<20))
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("%q %c %o %d:%d %q %d bytes %x\n", h.Name, h.Typeflag, h.Mode, h.Uid, h.Gid, h.Linkname, n, content.Sum(nil))
	}
	if _, err := io.Copy(io.Discard, plain); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("sha256:%x", sum.Sum(nil)); got != made.DiffID.String() {
		t.Errorf("diff id is %s, want %s", made.DiffID, got)
	}
	return text
}
