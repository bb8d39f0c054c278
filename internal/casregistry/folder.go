package casregistry

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// folder is where the registry keeps its files:
//
//	blobs/HEX                               manifests and uploaded blobs
//	repositories/NAME/_manifests/HEX        a manifest's media type
//	repositories/NAME/_blobs/HEX            the size of a blob that the repository has
//	repositories/NAME/_tags/TAG             the digest that a tag points to
//	uploads/NAME                            what has arrived of a body
//
// No part of a repository's name begins with an underscore. What is below repositories
// are records.
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
	f := folder{root}
	// What a crash left unfinished is sent again.
	if err := root.RemoveAll("uploads"); err != nil {
		return folder{}, errors.Join(err, root.Close())
	}
	for _, name := range []string{"blobs", "repositories", "uploads"} {
		if err := root.MkdirAll(name, 0o750); err != nil {
			return folder{}, errors.Join(err, root.Close())
		}
	}
	if err := f.migrate(); err != nil {
		return folder{}, errors.Join(err, root.Close())
	}
	return f, nil
}

func blobPath(digest v1.Hash) string { return path.Join("blobs", digest.Hex) }

func uploadPath(name string) string { return path.Join("uploads", name) }

func tagPath(repository, tag string) string {
	return path.Join("repositories", repository, "_tags", tag)
}

func manifestPath(repository string, digest v1.Hash) string {
	return path.Join("repositories", repository, "_manifests", digest.Hex)
}

func linkPath(repository string, digest v1.Hash) string {
	return path.Join("repositories", repository, "_blobs", digest.Hex)
}

// has tells whether there is a file.
func (f folder) has(name string) (bool, error) {
	_, err := f.root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// create makes a file that is not yet where it stays.
func (f folder) create() (file *os.File, name string, err error) {
	name = uploadPath(rand.Text())
	file, err = f.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	return file, name, err
}

// write writes a file atomically: after a crash it is there in full, or not at all.
func (f folder) write(name string, data []byte) (err error) {
	file, unfinished, err := f.create()
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

// list are the names in a folder, in their order.
func (f folder) list(name string) (names []string, err error) {
	entries, err := fs.ReadDir(f.root.FS(), name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, err
}

// tags are the tags of a repository in their order.
func (f folder) tags(repository string) (tags []string, found bool, err error) {
	tags, err = f.list(path.Dir(tagPath(repository, "any")))
	if err != nil || tags != nil {
		return tags, err == nil, err
	}
	found, err = f.has(path.Dir(manifestPath(repository, v1.Hash{Hex: "any"})))
	return nil, found, err
}

// repositories are the names of all repositories.
func (f folder) repositories() (names []string, err error) {
	err = fs.WalkDir(f.root.FS(), "repositories", func(at string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasPrefix(entry.Name(), "_") {
			return err
		}
		if name, found := strings.CutPrefix(path.Dir(at), "repositories/"); found && entry.Name() == "_manifests" || entry.Name() == "_blobs" {
			if len(names) == 0 || names[len(names)-1] != name {
				names = append(names, name)
			}
		}
		return fs.SkipDir
	})
	return names, err
}

// sha256Digest reads a digest that can be a file's name.
func sha256Digest(text string) (v1.Hash, error) {
	digest, err := v1.NewHash(text)
	if err != nil || digest.Algorithm != "sha256" || strings.ToLower(digest.Hex) != digest.Hex {
		return v1.Hash{}, &refusal{status: 400, code: "DIGEST_INVALID", message: "a digest must be sha256: and 64 lower case hexadecimal digits"}
	}
	return digest, nil
}
