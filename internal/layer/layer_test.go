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
		"file\t0755\t/app/bin/server\t" + server,
		"file\t0755\t/app/bin/server.runfiles/_main/server\t" + server,
		"file\t0644\t/app/config\t" + source(t, filepath.Join(dir, "config"), "k=v"),
		"file\t0644\tapp/static\t" + filepath.Join(dir, "tree"),
		"empty\t0644\t/app/bin/server.runfiles/__init__.py",
		"link\t/app/current\tbin/server",
		"dir\t0700\t/var/lib/app",
		"",
	}, "\n")
	want := `5 0755 0:0 0 app/
5 0755 0:0 0 app/bin/
0 0755 0:0 0 app/bin/server "ELF"
5 0755 0:0 0 app/bin/server.runfiles/
0 0644 0:0 0 app/bin/server.runfiles/__init__.py
5 0755 0:0 0 app/bin/server.runfiles/_main/
1 0755 0:0 0 app/bin/server.runfiles/_main/server -> app/bin/server
0 0644 0:0 0 app/config "k=v"
2 0777 0:0 0 app/current -> bin/server
5 0755 0:0 0 app/static/
5 0755 0:0 0 app/static/a/
0 0644 0:0 0 app/static/a/x "x"
0 0644 0:0 0 app/static/b "b"
5 0755 0:0 0 var/
5 0755 0:0 0 var/lib/
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

func TestBlobIsNamedForTheCacheUnderItsDigestFunction(t *testing.T) {
	blob, metadata := write(t, "empty\t0644\t/a\n", layer.Options{DigestFunction: "blake3"})
	if want := fmt.Sprintf("blake3:%x", blake3.Sum256(blob)); metadata.Sources[0].CAS != want {
		t.Errorf("CAS digest is %s, want %s", metadata.Sources[0].CAS, want)
	}
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256(blob)); metadata.Digest.String() != want {
		t.Errorf("digest is %s, want %s", metadata.Digest, want)
	}
}

func TestWhatCannotBeALayerIsRefusedByName(t *testing.T) {
	dir := t.TempDir()
	a := source(t, filepath.Join(dir, "a"), "a")
	b := source(t, filepath.Join(dir, "b"), "b")
	for _, row := range []struct{ name, list, want string }{
		{"two files at one path", "file\t0644\t/x\t" + a + "\nfile\t0644\tx/\t" + b + "\n", "/x is there twice: from " + a + " and from " + b},
		{"a file below a file", "file\t0644\t/x\t" + a + "\nfile\t0644\t/x/y\t" + b + "\n", "/x is " + a + ", and /x/y is to be below it"},
		{"a path that leads out", "file\t0644\t/x/../../y\t" + a + "\n", "leads out of the image"},
		{"the root as a file", "file\t0644\t/\t" + a + "\n", "the root of the image cannot be a file"},
		{"a source that is missing", "file\t0644\t/x\t" + dir + "/none\n", "line 1: source of /x: "},
		{"a mode that is none", "file\t0999\t/x\t" + a + "\n", "line 1: mode \"0999\""},
		{"an unknown word", "pipe\t/x\n", "line 1: \"pipe\" is not"},
		{"a tab in a path", "link\t/x\ty\tz\n", `line 1: "z" is not of the form NAME=value: a path may not hold a tab`},
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
		"file\t4755\t/bin/su\t" + file + "\tuid=1\tgid=2\tmtime=2001-09-09T01:46:40Z\txattr:user.a=text\txattr:security.capability=0x0100\txattr:user.b=0saGk=",
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
	link, su := headers[1], headers[2]
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
	_, want := write(t, "empty\t0644\t/a\n", layer.Options{})
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
