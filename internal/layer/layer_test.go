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
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/blake3"

	"github.com/drayage/drayage/internal/layer"
)

func write(t *testing.T, list string, options layer.Options) ([]byte, layer.Metadata) {
	t.Helper()
	entries, err := layer.ReadList(strings.NewReader(list))
	if err != nil {
		t.Fatal(err)
	}
	var blob bytes.Buffer
	metadata, err := layer.Write(&blob, entries, options)
	if err != nil {
		t.Fatal(err)
	}
	return blob.Bytes(), metadata
}

func source(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func decompress(t *testing.T, blob []byte, compression layer.Compression) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(blob)
	var err error
	switch compression {
	case layer.Gzip:
		r, err = gzip.NewReader(r)
	case layer.Zstd:
		r, err = zstd.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// listing is what tar -tv would say, and the content of small files.
func listing(t *testing.T, archive []byte) string {
	t.Helper()
	var lines strings.Builder
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return lines.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&lines, "%c %04o %d:%d %d %s", h.Typeflag, h.Mode, h.Uid, h.Gid, h.ModTime.Unix(), h.Name)
		if h.Linkname != "" {
			fmt.Fprintf(&lines, " -> %s", h.Linkname)
		}
		if len(content) > 0 {
			fmt.Fprintf(&lines, " %q", content)
		}
		lines.WriteByte('\n')
	}
}

func TestArchiveHoldsJustWhatWasAskedFor(t *testing.T) {
	dir := t.TempDir()
	source(t, filepath.Join(dir, "tree/a/x"), "x")
	source(t, filepath.Join(dir, "tree/b"), "b")
	server := source(t, filepath.Join(dir, "server"), "ELF")
	list := strings.Join([]string{
		"put\t0755\t/app/bin/server\tfile\t\t" + server,
		"put\t0755\t/app/bin/server.runfiles/_main/server\tfile\t\t" + server,
		"put\t0644\t/app/config\tfile\t\t" + source(t, filepath.Join(dir, "config"), "k=v"),
		"put\t0644\tapp/static\tfile\t\t" + filepath.Join(dir, "tree"),
		"put\t0644\t/app/bin/server.runfiles/__init__.py\tempty\t\t",
		"link\t/app/current\tbin/server",
		"dir\t0700\t/var/lib/app",
		"",
	}, "\n")
	want := `0 0755 0:0 0 app/bin/server "ELF"
0 0644 0:0 0 app/bin/server.runfiles/__init__.py
1 0755 0:0 0 app/bin/server.runfiles/_main/server -> app/bin/server
0 0644 0:0 0 app/config "k=v"
2 0777 0:0 0 app/current -> bin/server
0 0644 0:0 0 app/static/a/x "x"
0 0644 0:0 0 app/static/b "b"
5 0700 0:0 0 var/lib/app/
`
	for _, compression := range []layer.Compression{layer.Gzip, layer.Zstd, layer.None} {
		t.Run(string(compression), func(t *testing.T) {
			blob, metadata := write(t, list, layer.Options{Compression: compression})
			archive := decompress(t, blob, compression)
			if diff := cmp.Diff(want, listing(t, archive)); diff != "" {
				t.Errorf("listing (-want +got):\n%s", diff)
			}
			digest := fmt.Sprintf("sha256:%x", sha256.Sum256(blob))
			if metadata.Digest.String() != digest || metadata.Size != int64(len(blob)) {
				t.Errorf("metadata say %s, %d bytes; the blob is %s, %d bytes", metadata.Digest, metadata.Size, digest, len(blob))
			}
			if diffID := fmt.Sprintf("sha256:%x", sha256.Sum256(archive)); metadata.DiffID.String() != diffID {
				t.Errorf("diff id is %s, want %s", metadata.DiffID, diffID)
			}
			if metadata.MediaType != compression.MediaType() {
				t.Errorf("media type is %s", metadata.MediaType)
			}
			if metadata.Sources[0].CAS != digest {
				t.Errorf("CAS digest is %s, want %s", metadata.Sources[0].CAS, digest)
			}
		})
	}
}

func TestParentsAreWrittenIfAskedFor(t *testing.T) {
	dir := t.TempDir()
	source(t, filepath.Join(dir, "tree/a/x"), "x")
	list := "put\t0644\t/srv/tree\ttree\t\t" + dir + "/tree\tuid=7\ndir\t1777\t/srv/tmp/\n"
	for _, row := range []struct {
		parents bool
		want    string
	}{
		{false, `5 1777 0:0 0 srv/tmp/
5 0755 7:0 0 srv/tree/
5 0755 7:0 0 srv/tree/a/
0 0644 7:0 0 srv/tree/a/x "x"
`},
		{true, `5 0755 0:0 0 srv/
5 1777 0:0 0 srv/tmp/
5 0755 7:0 0 srv/tree/
5 0755 7:0 0 srv/tree/a/
0 0644 7:0 0 srv/tree/a/x "x"
`},
	} {
		blob, _ := write(t, list, layer.Options{Compression: layer.None, Parents: row.parents})
		if diff := cmp.Diff(row.want, listing(t, blob)); diff != "" {
			t.Errorf("parents %v (-want +got):\n%s", row.parents, diff)
		}
	}
}

func TestWhatIsRemovedIsAWhiteout(t *testing.T) {
	file := source(t, filepath.Join(t.TempDir(), "f"), "f")
	blob, _ := write(t, "remove\t/etc/motd\nremove\t/usr/share/doc/\nput\t0644\t/usr/share/doc/f\tfile\t\t"+file+"\n", layer.Options{Compression: layer.None})
	want := `0 0000 0:0 0 etc/.wh.motd
0 0000 0:0 0 usr/share/doc/.wh..wh..opq
0 0644 0:0 0 usr/share/doc/f "f"
`
	if diff := cmp.Diff(want, listing(t, blob)); diff != "" {
		t.Errorf("listing (-want +got):\n%s", diff)
	}
}

func TestPatternsDecideModesThatNobodyElseDecides(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"bin/java", "bin/jcmd", "lib/libjvm.so", "README"} {
		source(t, filepath.Join(dir, "jdk", name), name)
	}
	blob, _ := write(t, strings.Join([]string{
		"put\t0644?\t/opt/jdk\ttree\t\t" + dir + "/jdk",
		"put\t0400\t/opt/jdk/bin/own\tfile\t\t" + dir + "/jdk/README",
		"mode\t0755\t/opt/**/{bin,lib}/*",
		"mode\t0711\t/opt/jdk/bin/jc*",
		"",
	}, "\n"), layer.Options{Compression: layer.None, Copies: true})
	want := `0 0644 0:0 0 opt/jdk/README "README"
0 0755 0:0 0 opt/jdk/bin/java "bin/java"
0 0711 0:0 0 opt/jdk/bin/jcmd "bin/jcmd"
0 0400 0:0 0 opt/jdk/bin/own "README"
0 0755 0:0 0 opt/jdk/lib/libjvm.so "lib/libjvm.so"
`
	if diff := cmp.Diff(want, listing(t, blob)); diff != "" {
		t.Errorf("listing (-want +got):\n%s", diff)
	}
}

func TestBlobIsNamedForTheCacheUnderItsDigestFunction(t *testing.T) {
	blob, metadata := write(t, "put\t0644\t/a\tempty\t\t\n", layer.Options{DigestFunction: "blake3"})
	if want := fmt.Sprintf("blake3:%x", blake3.Sum256(blob)); metadata.Sources[0].CAS != want {
		t.Errorf("CAS digest is %s, want %s", metadata.Sources[0].CAS, want)
	}
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256(blob)); metadata.Digest.String() != want {
		t.Errorf("digest is %s, want %s", metadata.Digest, want)
	}
}

// loop is a directory with a link to itself.
func loop(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	link(t, ".", filepath.Join(dir, "loop"))
	return dir
}

// pipe is a directory with a named pipe.
func pipe(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// link makes a symbolic link, and the folders above it.
func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func TestWhatCannotBeALayerIsRefusedByName(t *testing.T) {
	dir := t.TempDir()
	a := source(t, filepath.Join(dir, "a"), "a")
	b := source(t, filepath.Join(dir, "b"), "b")
	for _, row := range []struct{ name, list, want string }{
		{"two files at one path", "put\t0644\t/x\tfile\t\t" + a + "\nput\t0644\tx/\tfile\t\t" + b + "\n", "/x is in the layer twice: from " + a + " and from " + b},
		{"a file below a file", "put\t0644\t/x\tfile\t\t" + a + "\nput\t0644\t/x/y\tfile\t\t" + b + "\n", "/x is " + a + ", so /x/y cannot be below it"},
		{"a path that leads out", "put\t0644\t/x/../../y\tfile\t\t" + a + "\n", "must not lead out of the image"},
		{"the root as a file", "put\t0644\t/\tfile\t\t" + a + "\n", "the root of the image must be a directory"},
		{"a source that is missing", "put\t0644\t/x\tfile\t\t" + dir + "/none\n", "line 1: source of /x: "},
		{"a mode that is none", "put\t0999\t/x\tfile\t\t" + a + "\n", "line 1: mode \"0999\""},
		{"an unknown word", "pipe\t/x\n", "line 1: \"pipe\" must be put, "},
		{"a path that is there and removed", "put\t0644\t/x\tfile\t\t" + a + "\nremove\t/x\n", "To remove only what lower layers have in the directory, write /x/"},
		{"a file below what is removed", "put\t0644\t/x/y\tfile\t\t" + a + "\nremove\t/x\n", "/x is an entry of remove, so /x/y cannot be below it"},
		{"a name that would remove another", "put\t0644\t/etc/.wh.passwd\tfile\t\t" + a + "\n", "the name .wh.passwd removes something"},
		{"a pattern that matches nothing", "put\t0644\t/x\tfile\t\t" + a + "\nmode\t0755\t/y/*\n", `no file of the layer matches "/y/*"`},
		{"a pattern without an end", "mode\t0755\t/y/[a\n", `"/y/[a" is not a valid pattern`},
		{"a name that is not below the prefix", "put\t0644\t/x\tfile\tother/a\t" + a + "\tstrip=static\n", "other/a is not below static, the strip_prefix of /x"},
		{"a directory that leads to itself", "put\t0644\t/x\ttree\t\t" + loop(t) + "\n", "is a link to a directory that contains it"},
		{"a pipe", "put\t0644\t/x\tfile\t\t" + pipe(t) + "\n", "must be a file, a directory or a symbolic link"},
		{"a tab in a path", "link\t/x\ty\tz\n", `line 1: "z" must be NAME=value; a path must not contain a tab`},
	} {
		t.Run(row.name, func(t *testing.T) {
			entries, err := layer.ReadList(strings.NewReader(row.list))
			if err == nil {
				_, err = layer.Write(io.Discard, entries, layer.Options{})
			}
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error is %v, want it to contain %q", err, row.want)
			}
		})
	}
}

func TestAttributesAreWrittenAsAsked(t *testing.T) {
	file := source(t, filepath.Join(t.TempDir(), "f"), "f")
	blob, _ := write(t, strings.Join([]string{
		"put\t4755\t/bin/su\tfile\t\t" + file + "\tuid=1\tgid=2\tmtime=2001-09-09T01:46:40Z\txattr:user.a=text\txattr:security.capability=0x0100\txattr:user.b=0saGk=",
		"link\t/bin/sh\tsu\tuid=7\tmtime=60",
		"",
	}, "\n"), layer.Options{Compression: layer.None})
	r := tar.NewReader(bytes.NewReader(blob))
	var headers []*tar.Header
	for h, err := r.Next(); err != io.EOF; h, err = r.Next() {
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, h)
	}
	link, su := headers[0], headers[1]
	if su.Mode != 0o4755 || su.Uid != 1 || su.Gid != 2 || su.ModTime.Unix() != 1_000_000_000 {
		t.Errorf("su is %+v", su)
	}
	want := map[string]string{"SCHILY.xattr.user.a": "text", "SCHILY.xattr.security.capability": "\x01\x00", "SCHILY.xattr.user.b": "hi"}
	if diff := cmp.Diff(want, su.PAXRecords); diff != "" {
		t.Errorf("extended attributes (-want +got):\n%s", diff)
	}
	if link.Uid != 7 || link.ModTime.Unix() != 60 || link.Mode != 0o777 {
		t.Errorf("sh is %+v", link)
	}
}

func TestMetadataSurvivesTheFile(t *testing.T) {
	_, want := write(t, "put\t0644\t/a\tempty\t\t\n", layer.Options{})
	path := filepath.Join(t.TempDir(), "layer.json")
	if err := want.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	got, err := layer.ReadMetadata(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
