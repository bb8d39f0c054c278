package casregistry

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// folder is where the registry keeps its files:
//
//	blobs/HEX                               manifests and small blobs
//	layers/HEX                              the size of a layer that the cache has
//	repositories/NAME/_manifests/HEX        a manifest's media type
//	repositories/NAME/_tags/TAG             the digest that a tag points to
//	uploads/ID                              the part of a blob that has arrived
//
// No part of a repository's name begins with an underscore.
type folder struct {
	// root keeps every path below it, whatever a client calls a repository.
	root *os.Root
}

func openFolder(path string) (folder, error) {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return folder{}, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return folder{}, err
	}
	// What a crash left unfinished is sent again.
	if err := root.RemoveAll("uploads"); err != nil {
		return folder{}, errors.Join(err, root.Close())
	}
	for _, name := range []string{"blobs", "layers", "repositories", "uploads"} {
		if err := root.MkdirAll(name, 0o750); err != nil {
			return folder{}, errors.Join(err, root.Close())
		}
	}
	return folder{root}, nil
}

func blobPath(digest v1.Hash) string { return path.Join("blobs", digest.Hex) }

func layerPath(digest v1.Hash) string { return path.Join("layers", digest.Hex) }

func uploadPath(id string) string { return path.Join("uploads", id) }

func tagPath(repository, tag string) string {
	return path.Join("repositories", repository, "_tags", tag)
}

func manifestPath(repository string, digest v1.Hash) string {
	return path.Join("repositories", repository, "_manifests", digest.Hex)
}

// has tells whether there is a file.
func (f folder) has(name string) (bool, error) {
	_, err := f.root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// write writes a file atomically: after a crash it is there in full, or not at all.
func (f folder) write(name string, data []byte) (err error) {
	unfinished := uploadPath("write-" + rand.Text())
	file, err := f.root.OpenFile(unfinished, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.root.Remove(unfinished))
		}
	}()
	if _, err := file.Write(data); err != nil {
		return errors.Join(err, file.Close())
	}
	return f.keep(file, unfinished, name)
}

// keep closes a file that is complete, and moves it to where it stays.
func (f folder) keep(file *os.File, unfinished, name string) error {
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := f.root.MkdirAll(path.Dir(name), 0o750); err != nil {
		return err
	}
	if err := f.root.Rename(unfinished, name); err != nil {
		return err
	}
	dir, err := f.root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// read reads a small file; found is false if there is none.
func (f folder) read(name string) (text string, found bool, err error) {
	data, err := f.root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return string(data), err == nil, err
}

// layer is the size of a layer that some manifest names and the cache had.
func (f folder) layer(digest v1.Hash) (size int64, found bool, err error) {
	text, found, err := f.read(layerPath(digest))
	if !found || err != nil {
		return 0, false, err
	}
	if size, err = strconv.ParseInt(text, 10, 64); err != nil {
		return 0, false, fmt.Errorf("read the size of layer %s: %w", digest, err)
	}
	return size, true, nil
}

func (f folder) addLayer(digest v1.Hash, size int64) error {
	return f.write(layerPath(digest), []byte(strconv.FormatInt(size, 10)))
}

// tags are the tags of a repository in their order.
func (f folder) tags(repository string) (tags []string, found bool, err error) {
	entries, err := fs.ReadDir(f.root.FS(), path.Dir(tagPath(repository, "any")))
	if errors.Is(err, fs.ErrNotExist) {
		found, err = f.has(path.Dir(manifestPath(repository, v1.Hash{Hex: "any"})))
		return nil, found, err
	}
	for _, entry := range entries {
		tags = append(tags, entry.Name())
	}
	return tags, true, err
}

// sha256Digest reads a digest that can be a file's name.
func sha256Digest(text string) (v1.Hash, error) {
	digest, err := v1.NewHash(text)
	if err != nil || digest.Algorithm != "sha256" || strings.ToLower(digest.Hex) != digest.Hex {
		return v1.Hash{}, &refusal{status: 400, code: "DIGEST_INVALID", message: "a digest must be sha256: and 64 lower case hexadecimal digits"}
	}
	return digest, nil
}
