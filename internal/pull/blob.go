package pull

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// blobs are those of an image, in the repositories that should have them.
type blobs struct {
	ctx    context.Context
	puller *remote.Puller
	places []name.Repository
	pages  *pages
}

// startingWith is places with one of them, which has proved to be there, first.
func startingWith(first name.Repository, places []name.Repository) []name.Repository {
	ordered := []name.Repository{first}
	for _, place := range places {
		if place != first {
			ordered = append(ordered, place)
		}
	}
	return ordered
}

// fetch writes a blob to path, from the first place that has it, or from the URLs of
// its descriptor, which elsewhere opens. It is compared with its descriptor while it
// comes, and nothing is at path unless all is well.
func (b blobs) fetch(path string, d v1.Descriptor, elsewhere func() (io.ReadCloser, error)) error {
	var failures []error
	for _, place := range b.places {
		err := write(path, d, func() (io.ReadCloser, error) { return b.open(place, d) })
		if err == nil {
			return nil
		}
		failures = append(failures, fmt.Errorf("from %s: %w", place, b.pages.explain(err)))
		if b.ctx.Err() != nil {
			return err
		}
	}
	if len(d.URLs) > 0 {
		err := write(path, d, elsewhere)
		if err == nil {
			return nil
		}
		failures = append(failures, fmt.Errorf("from %q: %w", d.URLs, b.pages.explain(err)))
	}
	return errors.Join(failures...)
}

func (b blobs) open(place name.Repository, d v1.Descriptor) (io.ReadCloser, error) {
	layer, err := b.puller.Layer(b.ctx, place.Digest(d.Digest.String()))
	if err != nil {
		return nil, err
	}
	return layer.Compressed()
}

// write writes what open opens, and nothing unless it is what the descriptor says.
func write(path string, d v1.Descriptor, open func() (io.ReadCloser, error)) (err error) {
	body, err := open()
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	file, err := os.CreateTemp(filepath.Dir(path), ".blob-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	err = verified(file, body, d)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Chmod(file.Name(), 0o644); err != nil { //nolint:gosec // an output of a build, for everybody
		return err
	}
	return os.Rename(file.Name(), path)
}

// verified copies a blob, and no more of it than it should have.
func verified(to io.Writer, body io.Reader, d v1.Descriptor) error {
	sum, err := v1.Hasher(d.Digest.Algorithm)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.MultiWriter(to, sum), io.LimitReader(body, d.Size+1))
	got := hex.EncodeToString(sum.Sum(nil))
	switch {
	case n > d.Size:
		return fmt.Errorf("it has more than the %d bytes that the manifest says", d.Size)
	case err != nil:
		return fmt.Errorf("only %d of %d bytes arrived: %w", n, d.Size, err)
	case n < d.Size:
		return fmt.Errorf("only %d of %d bytes arrived", n, d.Size)
	case got != d.Digest.Hex:
		return fmt.Errorf("%d bytes arrived, but their digest is %s:%s", n, d.Digest.Algorithm, got)
	}
	return nil
}
