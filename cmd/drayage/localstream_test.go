//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/zeebo/blake3"

	"github.com/drayage/drayage/internal/cas"
)

// cacheOf is a remote cache that has some blobs, and counts what it is asked for.
type cacheOf struct {
	blobs map[string][]byte // by hash
	asked []int64           // the offsets
}

func (c *cacheOf) ReadAll(_ context.Context, blob cas.Blob) ([]byte, error) {
	c.asked = append(c.asked, 0)
	if data, ok := c.blobs[blob.Hash]; ok {
		return data, nil
	}
	return nil, &cas.NotFoundError{Digest: blob.Digest}
}

func (c *cacheOf) Stream(_ context.Context, blob cas.Blob, offset int64) (io.ReadCloser, error) {
	c.asked = append(c.asked, offset)
	if data, ok := c.blobs[blob.Hash]; ok {
		return io.NopCloser(bytes.NewReader(data[offset:])), nil
	}
	return nil, &cas.NotFoundError{Digest: blob.Digest}
}

func (c *cacheOf) FindMissing(_ context.Context, _ string, digests []cas.Digest) (missing []cas.Digest, err error) {
	for _, d := range digests {
		if _, ok := c.blobs[d.Hash]; !ok {
			missing = append(missing, d)
		}
	}
	return missing, nil
}

// layerBytes are the bytes of a layer of several pieces, and its digest.
func layerBytes(t *testing.T) ([]byte, cas.Digest) {
	t.Helper()
	data := make([]byte, 3*pieceSize+1000)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(data) // never fails
	sum := sha256.Sum256(data)
	return data, cas.Digest{Function: cas.SHA256, Hash: hex.EncodeToString(sum[:]), Size: int64(len(data))}
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Whatever lies where a build puts a layer, what is read is the layer.
func TestAnOddFileIsPassedOver(t *testing.T) {
	data, digest := layerBytes(t)
	for _, row := range []struct {
		name string
		put  func(path string)
		// asked are the offsets at which the cache is read.
		asked []int64
	}{
		{"the layer", func(path string) { writeFile(t, path, data) }, nil},
		{"nothing", func(string) {}, []int64{0}},
		{"a folder", func(path string) { check(t, os.MkdirAll(path, 0o700)) }, []int64{0}},
		{"a pipe", func(path string) { check(t, syscall.Mkfifo(path, 0o600)) }, []int64{0}},
		{"a link that leads nowhere", func(path string) { check(t, os.Symlink("/nowhere", path)) }, []int64{0}},
		{"a link in a circle", func(path string) { check(t, os.Symlink(filepath.Base(path), path)) }, []int64{0}},
		{"an empty file", func(path string) { writeFile(t, path, nil) }, []int64{0}},
		{"a file that is too short", func(path string) { writeFile(t, path, data[1:]) }, []int64{0}},
		{"a file of that size", func(path string) { writeFile(t, path, make([]byte, len(data))) }, []int64{0}},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir, remote := t.TempDir(), &cacheOf{blobs: map[string][]byte{digest.Hash: data}}
			list := filepath.Join(dir, "bazel-out/bin/app/push.outputs")
			writeFile(t, list, []byte("bazel-out/bin/app/push.outputs\nbazel-out/bin/app/layer.tar.gz\n"))
			row.put(filepath.Join(dir, "bazel-out/bin/app/layer.tar.gz"))
			files, err := openBlobFiles(nil, []string{list}, "")
			check(t, err)
			files.otherwise = remote
			wantStreamed(t, files, digest, data)
			if len(remote.asked) != len(row.asked) {
				t.Errorf("the cache was read at %v, want %v", remote.asked, row.asked)
			}
			got, err := files.ReadAll(t.Context(), cas.Blob{Digest: digest})
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("read as a whole: %d bytes, %v", len(got), err)
			}
		})
	}
}

func wantStreamed(t *testing.T, files *blobFiles, digest cas.Digest, data []byte) {
	t.Helper()
	for _, offset := range []int64{0, 5, pieceSize, pieceSize + 1, int64(len(data)) - 1, int64(len(data))} {
		stream, err := files.Stream(t.Context(), cas.Blob{Digest: digest}, offset)
		check(t, err)
		got, err := io.ReadAll(stream)
		if err != nil || !bytes.Equal(got, data[offset:]) {
			t.Errorf("from %d on: %d bytes, %v", offset, len(got), err)
		}
		check(t, stream.Close())
		if offset == 0 && files.otherwise.(*cacheOf).asked != nil {
			return // the file is not in question any more
		}
	}
}

// The build may write the layer anew while it is read.
func TestAFileThatChangesWhileItIsReadIsLeftForTheNextSource(t *testing.T) {
	data, digest := layerBytes(t)
	changes := map[string]func(path string) error{
		"other bytes": func(path string) error {
			file, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = file.WriteAt([]byte("other bytes"), 2*pieceSize+5)
			return errors.Join(err, file.Close())
		},
		"a shorter file": func(path string) error { return os.Truncate(path, 2*pieceSize+5) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "layer")
			writeFile(t, path, data)
			remote := &cacheOf{blobs: map[string][]byte{digest.Hash: data}}
			files, err := openBlobFiles([]string{path}, nil, "")
			check(t, err)
			files.otherwise = remote
			stream, err := files.Stream(t.Context(), cas.Blob{Digest: digest}, 0)
			check(t, err)
			got := make([]byte, pieceSize+7)
			_, err = io.ReadFull(stream, got)
			check(t, err)
			check(t, change(path))
			rest, err := io.ReadAll(stream)
			check(t, err)
			check(t, stream.Close())
			if !bytes.Equal(slices.Concat(got, rest), data) {
				t.Error("what was read is not the layer")
			}
			if len(remote.asked) != 1 || remote.asked[0] != 2*pieceSize {
				t.Errorf("the cache was read at %v, want %d", remote.asked, 2*pieceSize)
			}
			// It is not looked at again.
			stream, err = files.Stream(t.Context(), cas.Blob{Digest: digest}, 9)
			check(t, err)
			check(t, stream.Close())
			if len(remote.asked) != 2 || remote.asked[1] != 9 {
				t.Errorf("the cache was read at %v", remote.asked)
			}
		})
	}
	t.Run("and there is no next source", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "layer")
		writeFile(t, path, data)
		files, err := openBlobFiles([]string{path}, nil, "")
		check(t, err)
		stream, err := files.Stream(t.Context(), cas.Blob{Digest: digest}, 0)
		check(t, err)
		check(t, os.Truncate(path, 5))
		if got, err := io.ReadAll(stream); !errors.Is(err, errNoCAS) || len(got) != 0 {
			t.Errorf("%d bytes were read: %v", len(got), err)
		}
		check(t, stream.Close())
	})
}

func TestNothingIsReadToAskWhatIsMissing(t *testing.T) {
	data, digest := layerBytes(t)
	path := filepath.Join(t.TempDir(), "layer")
	writeFile(t, path, data)
	files, err := openBlobFiles([]string{path}, nil, "")
	check(t, err)
	files.otherwise = &cacheOf{}
	absent := cas.Digest{Function: cas.SHA256, Hash: strings.Repeat("0", 64), Size: 7}
	missing, err := files.FindMissing(t.Context(), "", []cas.Digest{digest, absent})
	if err != nil || len(missing) != 1 || missing[0] != absent {
		t.Errorf("missing are %v, %v", missing, err)
	}
	if sums := files.files[digest.Size][0].sums; len(sums) != 0 {
		t.Errorf("the file was hashed: %v", sums)
	}
}

func TestADiskCacheIsReadWhereBazelKeepsBlobs(t *testing.T) {
	data, digest := layerBytes(t)
	b3 := blake3.Sum256(data)
	for _, row := range []struct {
		digest cas.Digest
		below  string
	}{
		{digest, "cas"},
		{cas.Digest{Function: cas.BLAKE3, Hash: hex.EncodeToString(b3[:]), Size: digest.Size}, "blake3/cas"},
	} {
		for _, content := range [][]byte{data, data[1:], make([]byte, len(data))} {
			dir := t.TempDir()
			path := filepath.Join(dir, row.below, row.digest.Hash[:2], row.digest.Hash)
			writeFile(t, path, content)
			remote := &cacheOf{blobs: map[string][]byte{row.digest.Hash: data}}
			files, err := openBlobFiles(nil, nil, dir)
			check(t, err)
			files.otherwise = remote
			wantStreamed(t, files, row.digest, data)
			if good := bytes.Equal(content, data); good != (len(remote.asked) == 0) {
				t.Errorf("%s, the right bytes %v: the cache was read at %v", row.digest, good, remote.asked)
			}
		}
	}
	// A digest is somebody else's word.
	files, err := openBlobFiles(nil, nil, t.TempDir())
	check(t, err)
	for _, odd := range []cas.Digest{{Function: "../..", Hash: "etc"}, {Function: cas.SHA256, Hash: "a"}, {}} {
		if file := files.file(odd); file != nil {
			t.Errorf("%v is %s", odd, file.path)
		}
	}
}

func TestTheFolderOfADiskCacheIsTakenAsUsersWriteIt(t *testing.T) {
	home, here := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("BUILD_WORKING_DIRECTORY", here)
	for given, want := range map[string]string{"": "", "/a/b": "/a/b", "~/a": filepath.Join(home, "a"), "a": filepath.Join(here, "a")} {
		cache, err := openDiskCache(given)
		if err != nil || cache.dir != want {
			t.Errorf("%q is %q, %v; want %q", given, cache.dir, err, want)
		}
	}
	file := filepath.Join(here, "file")
	writeFile(t, file, nil)
	if _, err := openDiskCache("file"); err == nil || err.Error() != "--disk-cache: "+file+" must be a folder" {
		t.Errorf("error is %v", err)
	}
}

func TestOutputsAreFoundByTheListsOwnPlace(t *testing.T) {
	const own = "bazel-out/bin/app/push.outputs"
	root, elsewhere := t.TempDir(), t.TempDir()
	list := filepath.Join(root, own)
	writeFile(t, list, []byte(own+"\nbazel-out/bin/app/layer\n../secret\n/etc/passwd\nbazel-out/bin/gone\n"))
	writeFile(t, filepath.Join(root, "bazel-out/bin/app/layer"), []byte("layer"))
	writeFile(t, filepath.Join(filepath.Dir(root), "secret"), []byte("secret"))
	check(t, os.Symlink(list, filepath.Join(elsewhere, "absolute")))
	check(t, os.Symlink("absolute", filepath.Join(elsewhere, "relative")))
	check(t, os.Symlink(filepath.Join(root, "bazel-out/bin"), filepath.Join(elsewhere, "bazel-bin")))
	for _, path := range []string{list, filepath.Join(elsewhere, "absolute"), filepath.Join(elsewhere, "relative"), filepath.Join(elsewhere, "bazel-bin/app/push.outputs")} {
		files, err := outputs(path)
		if err != nil || len(files) != 1 || files[0].path != filepath.Join(root, "bazel-out/bin/app/layer") {
			t.Errorf("%s: %d files, %v", path, len(files), err)
		}
	}

	// A copy knows no build.
	moved := filepath.Join(elsewhere, "copy")
	writeFile(t, moved, []byte(own+"\nbazel-out/bin/app/layer\n"))
	if files, err := outputs(moved); err != nil || len(files) != 0 {
		t.Errorf("a copy: %d files, %v", len(files), err)
	}
	huge := filepath.Join(elsewhere, "huge")
	writeFile(t, huge, nil)
	check(t, os.Truncate(huge, maxOutputs+1))
	if _, err := outputs(huge); err == nil || !strings.Contains(err.Error(), "must be at most 64 MiB") {
		t.Errorf("a huge list: %v", err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
