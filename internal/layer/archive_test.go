package layer_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/drayage/drayage/internal/layer"
)

func TestWhatIsNoArchiveIsCalledByItsName(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	elf, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, file, want string }{
		{"an empty file", "", "this is an empty file, and no tar archive"},
		{"a program", string(elf), "this is a"},
		{"an ELF file", "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 1000), "this is an ELF program or library, not a tar archive; put a single file into an image_layer"},
		{"a text", "hello\n", "this is text, not a tar archive; put a single file into an image_layer"},
		{"a long text, with a character across the border", strings.Repeat("a", 511) + "ö and so on", "this is text,"},
		{"a script", "#!/bin/sh\n", "this is a script,"},
		{"a page", " <!DOCTYPE HTML><html>not found</html>", "this is an HTML page, not a tar archive; if it was fetched, its address answered with a page instead of the file"},
		{"JSON", `{"errors": []}`, "this is JSON,"},
		{"a pointer of Git LFS", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "fetch the file with git lfs pull"},
		{"zip", "PK\x03\x04" + strings.Repeat("\x14", 1000), "this is a zip archive, not a tar archive; unpack it, and make a tar archive of its files"},
		{"7z", "7z\xbc\xaf\x27\x1c\x00\x04", "this is a 7z archive,"},
		{"lz4", "\x04\x22\x4d\x18\x64\x40", "this is compressed with lz4, not a tar archive; compress it with gzip, zstd, xz or bzip2 instead"},
		{"a Debian package", "!<arch>\ndebian-binary   1", "take the archive data.tar that is in it"},
		{"zeros, and then a file system", strings.Repeat("\x00", 1024+56) + "\x53\xef" + strings.Repeat("\x00", 500), "goes on at byte 1024 with something else"},
		{"too few zeros", strings.Repeat("\x00", 100), "this is something that begins with the bytes 0000000000000000"},
		{"something", "\x01\x02\x03", "this is something that begins with the bytes 010203, not a tar archive; what is taken is a tar archive"},
	} {
		t.Run(row.name, func(t *testing.T) {
			wantRefused(t, []byte(row.file), row.want)
			for _, how := range []string{"gzip", "zstd", "xz"} {
				want := strings.Replace(row.want, "this is", "the file is "+how+" here is", 1)
				wantRefused(t, packed(t, how, []byte(row.file)), want)
			}
		})
	}
	t.Run("an archive that is compressed twice", func(t *testing.T) {
		wantRefused(t, packed(t, "gzip", packed(t, "xz", archiveOf(t))), "the file is gzip here is compressed with xz, not a tar archive; it was compressed twice: unpack it once")
	})
}

func TestAnEntryThatNobodyUnpacksIsRefused(t *testing.T) {
	typed := func(flag byte) []byte {
		return edited(t, archiveOf(t, tar.Header{Name: "first"}, tar.Header{Name: "entry"}), 512, func(header []byte) { header[156] = flag })
	}
	one := func(h tar.Header) []byte { return archiveOf(t, tar.Header{Name: "first"}, h) }
	const out = "leads out of the image"
	for _, row := range []struct {
		name    string
		archive []byte
		want    string
	}{
		{"a part of a file", typed('M'), `"entry" continues a file of another volume`},
		{"a directory of an incremental archive", typed('D'), `"entry" is a directory of an incremental archive`},
		{"a type that nobody knows", typed('Z'), `"entry" has the type 'Z', which container engines do not unpack`},
		{"a path that leads out", one(tar.Header{Name: "../x"}), `the path "../x" ` + out},
		{"a path that comes to lead out", one(tar.Header{Name: "/a/./../../x"}), out},
		{"a hard link to somewhere outside", one(tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "b/../../x"}), `the hard link "a" leads to "b/../../x", a path that ` + out},
		{"a hard link to itself", one(tar.Header{Typeflag: tar.TypeLink, Name: "./a", Linkname: "/a"}), `"./a" is a hard link to itself`},
		{"a file in the place of the root", one(tar.Header{Typeflag: tar.TypeSymlink, Name: "./", Linkname: "a"}), "is the root, so the entry must be a directory"},
		{"a link to nowhere", one(tar.Header{Typeflag: tar.TypeSymlink, Name: "a"}), "has a target of 0 bytes"},
		{"a name that is too long", one(tar.Header{Name: "a/" + strings.Repeat("n", 256)}), "has a name of 256 bytes, but Linux allows 255"},
		{"a path that is too long", one(tar.Header{Name: strings.Repeat("long/", 820)}), "has 4100 bytes, but Linux allows 4095"},
		{"a whiteout of nothing", one(tar.Header{Name: "etc/.wh."}), "names nothing to delete"},
		{"a whiteout of the directory above", one(tar.Header{Name: "etc/.wh..."}), "names nothing to delete"},
		{"an owner that nobody can be", one(tar.Header{Name: "a", Uid: 1<<32 - 1, Format: tar.FormatGNU}), `the owner of "a" is 4294967295:0`},
		{"a global header that names files", one(tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "g", PAXRecords: map[string]string{"path": "x"}}), `a global pax header sets "path" for all files`},
		{"an unknown kind of sparse file", bytes.Replace(paxSparse(t), []byte("major=1"), []byte("major=7"), 1), "is a sparse file of an unknown form"},
		{"a name of more than a megabyte", edited(t, archiveOf(t, tar.Header{Name: "first"}, tar.Header{Name: "entry", Size: 1<<20 + 1}), 512,
			func(header []byte) { header[156] = 'L' }), "more than the 1 MiB"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, how := range []string{"none", "gzip", "zstd", "xz"} {
				wantRefused(t, packed(t, how, row.archive), row.want)
			}
		})
	}
}

func TestAnArchiveThatIsBrokenIsRefused(t *testing.T) {
	plain := archiveOf(t, tar.Header{Name: "first", Size: 600}, tar.Header{Name: "second", Size: 5000})
	damaged := bytes.Clone(plain)
	damaged[1536+10]++
	for _, row := range []struct {
		name    string
		archive []byte
		want    string
	}{
		{"the first header is cut", plain[:300], "this is something that begins with"},
		{"a header is cut", plain[:1536+100], `the archive ends in the middle of a header, after "first", at byte 1636`},
		{"the content of a file is cut", plain[:1000], `the archive ends in the middle of "first", at byte 1000: the file was cut off; fetch or make the file again`},
		{"the content of the last file is cut in its last block", plain[:1536+512+5001], `the archive ends in the middle of "second", at byte 7049`},
		{"the end is cut", plain[:len(plain)-1], `the archive ends in the middle of a header, after "second"`},
		{"a header is damaged", damaged, `a header after "first", before byte 2048, is damaged`},
		{"a block of zeros is between two files", append(append(bytes.Clone(plain[:1536]), make([]byte, 512)...), plain[1536:]...), `a header after "first", before byte 2560, is damaged`},
		{"two archives", append(bytes.Clone(plain), plain...), fmt.Sprintf("a second archive follows the first, at byte %d, and no tool would unpack it", len(plain))},
		{"two archives, and zeros between them", append(append(bytes.Clone(plain), make([]byte, 70_144)...), plain...), "a second archive follows the first"},
	} {
		t.Run(row.name, func(t *testing.T) {
			wantRefused(t, row.archive, row.want)
			if row.name == "the first header is cut" {
				return
			}
			for _, how := range []string{"gzip", "zstd", "xz"} {
				wantRefused(t, packed(t, how, row.archive), row.want)
			}
		})
	}
}

func TestCompressedDataThatAreBrokenAreRefused(t *testing.T) {
	plain := archiveOf(t, tar.Header{Name: "f", Size: 3000})
	bzipped, err := os.ReadFile(filepath.Join("testdata", "file.tar.bz2"))
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{"gzip": packed(t, "gzip", plain), "zstd": packed(t, "zstd", plain), "xz": packed(t, "xz", plain), "bzip2": bzipped} {
		t.Run(name, func(t *testing.T) {
			for n := range file {
				if _, err := layer.FromTar(io.Discard, bytes.NewReader(file[:n]), layer.ArchiveOptions{}); err == nil {
					t.Errorf("%d of %d bytes are taken for all", n, len(file))
				}
			}
			wantRefused(t, file[:len(file)-len(file)/3], "the "+name+" data end early, after")
			for at := 0; at < len(file); at += 5 {
				damaged := bytes.Clone(file)
				damaged[at] ^= 0x10
				wantOrRefused(t, damaged, plain)
			}
			for _, more := range []string{"garbage, as much as you like", strings.Repeat("\x00", 1001), "\x00", "abc"} {
				wantRefused(t, append(bytes.Clone(file), more...), "")
			}
			wantRefused(t, append(bytes.Clone(file), "garbage, as much as you like"...), "something other than "+name+" follows the "+name+" data, after")
		})
	}
	// xz files may have padding between and after them, by fours.
	if blob, _ := fromTar(t, append(packed(t, "xz", plain), 0, 0, 0, 0), layer.None); !bytes.Equal(blob, plain) {
		t.Error("an xz file with padding is another archive")
	}
}

// wantOrRefused takes damage where it does not matter: the name and time of a gzip
// file, say.
func wantOrRefused(t *testing.T, file, plain []byte) {
	t.Helper()
	var blob bytes.Buffer
	_, err := layer.FromTar(&blob, bytes.NewReader(file), layer.ArchiveOptions{Options: layer.Options{Compression: layer.None}})
	if err == nil && !bytes.Equal(blob.Bytes(), plain) && !strings.Contains(blob.String(), "file") {
		t.Error("a damaged file is another archive")
	}
}

func TestMemoryDoesNotGrowWithWhatAnArchiveUnpacksTo(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	const size = 256 << 20
	bomb := func(how string) []byte {
		var out bytes.Buffer
		var w io.WriteCloser = gzip.NewWriter(&out)
		if how == "zstd" {
			var err error
			if w, err = zstd.NewWriter(&out); err != nil {
				t.Fatal(err)
			}
		}
		archive := tar.NewWriter(w)
		if err := archive.WriteHeader(&tar.Header{Name: "f", Size: size}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(archive, zeros{}, size); err != nil {
			t.Fatal(err)
		}
		if err := archive.Close(); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	// A thousand headers for one entry, of a megabyte each.
	headers := edited(t, archiveOf(t, tar.Header{Name: "entry", Size: 1 << 20}), 0, func(header []byte) { header[156] = 'K' })[:512+1<<20]
	manyHeaders := packed(t, "zstd", append(bytes.Repeat(headers, 100), archiveOf(t, tar.Header{Name: "f"})...))
	for name, file := range map[string][]byte{"gzip": bomb("gzip"), "zstd": bomb("zstd"), "headers": manyHeaders} {
		for _, to := range []layer.Compression{"", layer.Zstd} {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			_, err := layer.FromTar(io.Discard, bytes.NewReader(file), layer.ArchiveOptions{Options: layer.Options{Compression: to}})
			runtime.ReadMemStats(&after)
			if (err != nil) != (name == "headers" && to != "") {
				t.Errorf("%s to %q: error is %v", name, to, err)
			}
			// All that was ever allocated, collected or not; headers are read one by one.
			if grown := after.TotalAlloc - before.TotalAlloc; name != "headers" && grown > 100<<20 {
				t.Errorf("%s to %q: %d MiB were allocated", name, to, grown>>20)
			}
			if grown := int64(after.Sys) - int64(before.Sys); grown > 200<<20 {
				t.Errorf("%s to %q: %d MiB were taken from the system", name, to, grown>>20)
			}
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestAWindowThatTakesTooMuchMemoryIsRefused(t *testing.T) {
	plain := archiveOf(t, tar.Header{Name: "f", Size: 3000})
	var large bytes.Buffer
	w, err := zstd.NewWriter(&large, zstd.WithWindowSize(256<<20))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil { // or the window would be as large as the content
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	const want = " data needs a window of more than 128 MiB"
	wantRefused(t, large.Bytes(), "the zstd"+want)

	// In the second block of the second stream, as xz --lzma2=dict=1536MiB writes it.
	wantRefused(t, append(packed(t, "xz", plain[:1000]), largeXZ(t, plain[1000:])...), "the xz"+want)
}

// wantRefused wants an archive to be refused, as it is and compressed anew.
func wantRefused(t *testing.T, archive []byte, want string) {
	t.Helper()
	for _, to := range []layer.Options{{}, {Compression: layer.Zstd}, {EStargz: true, Compression: layer.Gzip, Scratch: t.TempDir()}} {
		_, err := layer.FromTar(io.Discard, bytes.NewReader(archive), layer.ArchiveOptions{Options: to})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("to %+v: error is %v, want it to contain\n%s", to, err, want)
		}
		if to.EStargz || len(archive) > 100_000 {
			break
		}
	}
}

// largeXZ is data as an xz file whose block asks for a dictionary of 1.5 GiB.
func largeXZ(t *testing.T, data []byte) []byte {
	t.Helper()
	file := packed(t, "xz", data)
	header := file[12 : 12+(int(file[12])+1)*4] // of the first block
	properties := bytes.Index(header, []byte{0x21, 1}) + 2
	header[properties] = 37
	binary.LittleEndian.PutUint32(header[len(header)-4:], crc32.ChecksumIEEE(header[:len(header)-4]))
	return file
}
