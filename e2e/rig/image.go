package rig

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// PullImage finds an image in a registry: HOST/REPOSITORY:TAG or @DIGEST.
func PullImage(t T, reference string) v1.Image {
	t.Helper()
	parsed, err := name.ParseReference(reference)
	if err != nil {
		t.Fatalf("pull %s: %v", reference, err)
	}
	image, err := remote.Image(parsed, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatalf("pull %s: %v", reference, err)
	}
	return image
}

// Unpack writes an image's file system, all layers over one another, to a
// folder, and returns what it holds, by path. Owners are not set.
func Unpack(t T, image v1.Image, dir string) []*tar.Header {
	t.Helper()
	stream := mutate.Extract(image)
	defer stream.Close()
	var headers []*tar.Header
	reader := tar.NewReader(stream)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = unpackOne(dir, header, reader)
		}
		if err != nil {
			t.Fatalf("unpack image: %v", err)
		}
		headers = append(headers, header)
	}
	slices.SortFunc(headers, func(a, b *tar.Header) int { return strings.Compare(a.Name, b.Name) })
	return headers
}

func unpackOne(dir string, header *tar.Header, content io.Reader) error {
	root, err := os.OpenRoot(dir) // no name leads out of it
	if err != nil {
		return err
	}
	defer root.Close()
	path := strings.Trim(filepath.Clean(header.Name), "/")
	if err := root.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(path, 0o755)
	case tar.TypeSymlink:
		return root.Symlink(header.Linkname, path)
	case tar.TypeLink:
		return root.Link(strings.Trim(filepath.Clean(header.Linkname), "/"), path)
	case tar.TypeReg:
		file, err := root.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, header.FileInfo().Mode().Perm()|0o200)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Close())
	default:
		return nil
	}
}
