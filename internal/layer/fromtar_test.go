package layer_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/drayage/drayage/internal/layer"
)

func TestAnArchiveBecomesALayer(t *testing.T) {
	file := source(t, filepath.Join(t.TempDir(), "f"), strings.Repeat("f", 10_000))
	for _, from := range []layer.Compression{layer.Gzip, layer.Zstd, layer.None} {
		archive, original := write(t, "put\t0644\t/f\tfile\t\t"+file+"\n", layer.Options{Compression: from})
		for _, to := range []layer.Compression{"", layer.Gzip, layer.Zstd, layer.None} {
			blob, made := fromTar(t, archive, to)
			if made.DiffID != original.DiffID {
				t.Errorf("%s to %q: diff id is %s, want %s", from, to, made.DiffID, original.DiffID)
			}
			if to == "" && (!bytes.Equal(archive, blob) || cmp.Diff(original, made) != "") {
				t.Errorf("%s: the blob is not the archive: %s", from, cmp.Diff(original, made))
			}
			if want := fmt.Sprintf("sha256:%x", sha256.Sum256(blob)); made.Digest.String() != want {
				t.Errorf("%s to %q: digest is %s, want %s", from, to, made.Digest, want)
			}
		}
	}
}

func TestAnArchiveThatNoLayerMayBeIsCompressedAnew(t *testing.T) {
	plain := archiveOf(t, tar.Header{Name: "f", Size: 3})
	xzed := packed(t, "xz", plain)
	for _, to := range []layer.Compression{"", layer.Gzip, layer.Zstd, layer.None} {
		var blob bytes.Buffer
		made, err := layer.FromTar(&blob, bytes.NewReader(xzed), layer.ArchiveOptions{Otherwise: to})
		if err != nil {
			t.Fatal(err)
		}
		want := to
		if want == "" {
			want = layer.Gzip
		}
		if made.MediaType != want.MediaType() || !bytes.Equal(decompress(t, blob.Bytes(), want), plain) {
			t.Errorf("xz, otherwise %q: the layer is a %s, and not the archive", to, made.MediaType)
		}
	}
	// bzip2 cannot be written by a library: testdata/file.tar.bz2 is by GNU tar.
	bzipped, err := os.ReadFile(filepath.Join("testdata", "file.tar.bz2"))
	if err != nil {
		t.Fatal(err)
	}
	blob, made := fromTar(t, bzipped, "")
	if got := listing(t, decompress(t, blob, layer.Gzip)); made.MediaType != layer.Gzip.MediaType() || !strings.Contains(got, "file") {
		t.Errorf("bzip2: the layer is a %s of\n%s", made.MediaType, got)
	}
	for name, file := range map[string][]byte{"xz": append(xzed, packed(t, "xz", nil)...), "bzip2": bzipped} {
		var blob bytes.Buffer
		made, err := layer.FromTar(&blob, bytes.NewReader(file), layer.ArchiveOptions{OtherwiseEStargz: true})
		if err != nil || len(made.Annotations) == 0 {
			t.Errorf("%s, otherwise eStargz: %+v (%v)", name, made, err)
		}
	}
}

// What GNU tar, pax and others write that is more than files and directories.
func TestWhatArchivesHoldIsKept(t *testing.T) {
	long := strings.Repeat("long/", 100)
	plain := archiveOf(t,
		tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "0123"}},
		tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755},
		tar.Header{Name: "/absolute", Size: 1000, Mode: 0o4755, Uid: 1<<32 - 2},
		tar.Header{Name: "a/../b", Size: 0},
		tar.Header{Name: long + "pax", Size: 513, Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.user.a": "\x00\n"}},
		tar.Header{Name: long + "gnu", Size: 512, Format: tar.FormatGNU},
		tar.Header{Typeflag: tar.TypeLink, Name: "hard", Linkname: "in/the/base"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "soft", Linkname: "../../" + long},
		tar.Header{Typeflag: tar.TypeChar, Name: "dev/null", Devmajor: 1, Devminor: 3},
		tar.Header{Typeflag: tar.TypeFifo, Name: "fifo"},
		tar.Header{Name: "etc/.wh.passwd"},
		tar.Header{Name: "var/.wh..wh..opq"},
		tar.Header{Name: "a/../b", Size: 7},
	)
	for _, from := range []string{"none", "gzip", "zstd", "xz"} {
		for _, to := range []layer.Compression{"", layer.Gzip, layer.Zstd, layer.None} {
			blob, made := fromTar(t, packed(t, from, plain), to)
			if got := decompress(t, blob, compressionOf(made)); !bytes.Equal(got, plain) {
				t.Errorf("%s to %q: the archive has changed:\n%s", from, to, cmp.Diff(listing(t, plain), listing(t, got)))
			}
		}
		var seekable bytes.Buffer
		if _, err := layer.FromTar(&seekable, bytes.NewReader(packed(t, from, plain)), layer.ArchiveOptions{Options: layer.Options{EStargz: true, Compression: layer.Gzip}}); err != nil {
			t.Fatal(err)
		}
		for name := range strings.SplitSeq("absolute b pax gnu hard soft dev/null fifo etc/.wh.passwd var/.wh..wh..opq", " ") {
			if got := listing(t, decompress(t, seekable.Bytes(), layer.Gzip)); !strings.Contains(got, name) {
				t.Errorf("%s as eStargz: %s is not in the archive:\n%s", from, name, got)
			}
		}
	}
}

func TestAFileThatIsCompressedInPartsIsOneArchive(t *testing.T) {
	plain := archiveOf(t, tar.Header{Name: "f", Size: 100_000})
	for _, how := range []string{"gzip", "zstd", "xz"} {
		var parts []byte
		for _, part := range [][]byte{plain[:700], {}, plain[700:50_000], plain[50_000:]} {
			parts = append(parts, packed(t, how, part)...)
		}
		blob, made := fromTar(t, parts, "")
		if got := decompress(t, blob, compressionOf(made)); !bytes.Equal(got, plain) {
			t.Errorf("%s in parts: the archive has changed", how)
		}
	}
	// pzstd's frames have frames before them that say how long they are.
	skippable := append([]byte("\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"), packed(t, "zstd", plain)...)
	if _, made := fromTar(t, skippable, ""); made.MediaType != layer.Zstd.MediaType() {
		t.Errorf("a file that begins with a skippable frame is a %s", made.MediaType)
	}
}

func TestASparseFileIsWrittenInFull(t *testing.T) {
	gnu := gnuSparse(t)
	if _, err := layer.FromTar(io.Discard, bytes.NewReader(gnu), layer.ArchiveOptions{}); err == nil || !strings.Contains(err.Error(), `"sparse" is a sparse file in GNU tar's own format`) {
		t.Errorf("as it is: error is %v", err)
	}
	for name, archive := range map[string][]byte{"GNU's own form": gnu, "pax": paxSparse(t)} {
		blob, _ := fromTar(t, archive, layer.None)
		r := tar.NewReader(bytes.NewReader(blob))
		var names []string
		for {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, h.Name)
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if h.Name != "sparse" {
				continue
			}
			want := append(bytes.Repeat([]byte{0}, 4096), "end of the file"...)
			if h.Typeflag != tar.TypeReg || h.Mode != 0o640 || h.Uid != 7 || !h.ModTime.Equal(time.Unix(1e9, 0)) || !bytes.Equal(content, want) {
				t.Errorf("%s: the file is %+v and holds %q", name, h, content)
			}
		}
		if diff := cmp.Diff([]string{"before", "sparse", "after"}, names); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	kept, _ := fromTar(t, paxSparse(t), "")
	if !bytes.Equal(kept, paxSparse(t)) {
		t.Error("pax's form, which container engines know, is not kept as it is")
	}
}

func TestTheLabelOfAVolumeIsLeftOut(t *testing.T) {
	labelled := edited(t, archiveOf(t, tar.Header{Name: "label"}, tar.Header{Name: "f", Size: 5}), 0, func(header []byte) { header[156] = 'V' })
	blob, _ := fromTar(t, labelled, layer.None)
	if got := listing(t, blob); strings.Contains(got, "label") || !strings.Contains(got, "f") {
		t.Errorf("the layer holds\n%s", got)
	}
	if _, err := layer.FromTar(io.Discard, bytes.NewReader(labelled), layer.ArchiveOptions{}); err == nil || !strings.Contains(err.Error(), "label of a volume") {
		t.Errorf("as it is: error is %v", err)
	}
}

func TestWhatIsOddAboutAnArchiveIsSaid(t *testing.T) {
	plain := archiveOf(t, tar.Header{Name: "f", Size: 512})
	for _, row := range []struct {
		name    string
		archive []byte
		want    string
	}{
		{"an archive in good order", plain, ""},
		{"zeros at its end, as many as you like", append(bytes.Clone(plain), make([]byte, 300_001)...), ""},
		{"no end", plain[:1024], "it has no end marker (blocks of zeros)"},
		{"half an end", plain[:1536], "it has no end marker (blocks of zeros)"},
		{"nothing in it", make([]byte, 10_240), "it is empty"},
		{"something after its end", append(bytes.Clone(plain), "signature"...), "no tool unpacks what follows its end, from byte 2048 on"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var said string
			options := layer.ArchiveOptions{Warn: func(text string) { said += text }}
			var blob bytes.Buffer
			if _, err := layer.FromTar(&blob, bytes.NewReader(row.archive), options); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(blob.Bytes(), row.archive) {
				t.Error("the blob is not the archive")
			}
			if !strings.Contains(said, row.want) || (row.want == "") != (said == "") {
				t.Errorf("it says %q, want %q", said, row.want)
			}
		})
	}
	// Written anew, an archive gets the end that it lacks.
	if blob, _ := fromTar(t, plain[:1024], layer.None); !bytes.Equal(blob, plain) {
		t.Errorf("the blob has %d bytes, want %d", len(blob), len(plain))
	}
}

// fromTar makes a layer with a compression, or "" for none of our own.
func fromTar(t *testing.T, archive []byte, to layer.Compression) ([]byte, layer.Metadata) {
	t.Helper()
	var blob bytes.Buffer
	made, err := layer.FromTar(&blob, bytes.NewReader(archive), layer.ArchiveOptions{Options: layer.Options{Compression: to}})
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256(decompress(t, blob.Bytes(), compressionOf(made)))); made.DiffID.String() != want {
		t.Errorf("to %q: diff id is %s, want %s", to, made.DiffID, want)
	}
	return blob.Bytes(), made
}

func compressionOf(m layer.Metadata) layer.Compression {
	for _, c := range []layer.Compression{layer.Gzip, layer.Zstd} {
		if m.MediaType == c.MediaType() {
			return c
		}
	}
	return layer.None
}

// archiveOf is an archive with the entries. Regular files hold as many bytes as
// their headers say.
func archiveOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte("content"), int(h.Size)/7+1)[:h.Size]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// packed is data compressed with gzip, zstd or xz, or not.
func packed(t testing.TB, how string, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch how {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "zstd":
		w, err = zstd.NewWriter(&out, zstd.WithEncoderCRC(true))
	case "xz":
		w, err = xz.NewWriter(&out)
	default:
		return data
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// edited changes a header of an archive, and mends its checksum.
func edited(t testing.TB, archive []byte, at int, edit func(header []byte)) []byte {
	t.Helper()
	archive = bytes.Clone(archive)
	header := archive[at : at+512]
	edit(header)
	copy(header[148:156], "        ")
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return archive
}

// gnuSparse has a file with a hole of 4096 bytes, as tar --sparse writes it, and
// files around it.
func gnuSparse(t testing.TB) []byte {
	t.Helper()
	around := tar.Header{Name: "before", Size: 100}
	sparse := tar.Header{Name: "sparse", Size: 15, Mode: 0o640, Uid: 7, ModTime: time.Unix(1e9, 0), Format: tar.FormatGNU}
	after := tar.Header{Name: "after", Size: 513}
	archive := edited(t, archiveOf(t, around, sparse, after), 1024, func(header []byte) {
		header[156] = 'S'
		copy(header[386:], fmt.Sprintf("%011o\x00%011o\x00", 4096, 15))
		copy(header[483:], fmt.Sprintf("%011o\x00", 4096+15))
	})
	copy(archive[1536:], "end of the file")
	return archive
}

// paxSparse has the same file as tar --sparse --format=posix writes it.
func paxSparse(t testing.TB) []byte {
	t.Helper()
	content := "1\n4096\n15\n" + strings.Repeat("\x00", 502) + "end of the file"
	records := map[string]string{"GNU_sparse_major": "1", "GNU_sparse_minor": "0", "GNU_sparse_name": "sparse", "GNU_sparse_realsize": "4111"}
	archive := archiveOf(t, tar.Header{Name: "before", Size: 100},
		tar.Header{Name: "GNUSparseFile.1/sparse", Size: int64(len(content)), Mode: 0o640, Uid: 7, ModTime: time.Unix(1e9, 0), Format: tar.FormatPAX, PAXRecords: records},
		tar.Header{Name: "after", Size: 513})
	archive = bytes.ReplaceAll(archive, []byte("GNU_sparse_"), []byte("GNU.sparse.")) // which the library does not write
	copy(archive[bytes.Index(archive, []byte("GNUSparseFile.1/sparse"))+512:], content)
	return archive
}
