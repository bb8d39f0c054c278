package casregistry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/cas"
)

// serveBlob answers HEAD and GET of a blob that the repository has.
func (r *Registry) serveBlob(c *call) error {
	if c.req.Method != http.MethodGet && c.req.Method != http.MethodHead {
		return notAllowed()
	}
	if err := r.mayRead(c, c.repository); err != nil {
		return err
	}
	digest, err := sha256Digest(c.reference)
	if err != nil {
		return err
	}
	size, found, err := r.folder.link(c.repository, digest)
	if err != nil {
		return err
	}
	if !found {
		return blobUnknown(digest.String())
	}
	c.w.Header().Set("Docker-Content-Digest", digest.String())
	c.w.Header().Set("Content-Type", "application/octet-stream")
	c.w.Header().Set("Content-Disposition", "attachment")
	file, err := r.folder.root.Open(blobPath(digest))
	if err == nil {
		defer func() { _ = file.Close() }()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		http.ServeContent(c.w, c.req, "", info.ModTime(), file)
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return r.serveLayer(c, digest, size)
}

// serveLayer answers with a blob of the cache.
func (r *Registry) serveLayer(c *call, digest v1.Hash, size int64) error {
	there, err := r.hasLayer(c.req.Context(), digest, size)
	if err != nil {
		return err
	}
	if !there {
		return blobUnknown(digest.String())
	}
	offset, partial := rangeOf(c.req.Header.Get("Range"), size)
	c.w.Header().Set("Accept-Ranges", "bytes")
	c.w.Header().Set("Content-Length", strconv.FormatInt(size-offset, 10))
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		c.w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, size-1, size))
	}
	if c.req.Method == http.MethodHead {
		c.w.WriteHeader(status)
		return nil
	}
	layer, err := r.opts.CAS.Stream(c.req.Context(), r.blob(digest, size), offset)
	if _, gone := errors.AsType[*cas.NotFoundError](err); gone {
		return blobUnknown(digest.String())
	}
	if err != nil {
		return fmt.Errorf("read layer %s: %w", digest, err)
	}
	defer func() { _ = layer.Close() }()
	c.w.WriteHeader(status)
	if _, err := io.Copy(c.w, layer); err != nil {
		r.opts.Logger.Warn().Err(err).Stringer("digest", digest).Msg("the response with a layer was cut off")
		panic(http.ErrAbortHandler) // so that the client does not take it for the whole
	}
	return nil
}

// find tells whether a repository has a blob, in the folder or in the cache.
func (r *Registry) find(ctx context.Context, repository string, digest v1.Hash) (size int64, there bool, err error) {
	size, there, err = r.folder.link(repository, digest)
	if err != nil || !there {
		return 0, false, err
	}
	if there, err = r.folder.has(blobPath(digest)); err == nil && !there {
		there, err = r.hasLayer(ctx, digest, size)
	}
	return size, there, err
}

// hasLayer tells whether the cache has a layer, and keeps it there for a while longer.
func (r *Registry) hasLayer(ctx context.Context, digest v1.Hash, size int64) (bool, error) {
	missing, err := r.opts.CAS.FindMissing(ctx, r.opts.Instance, []cas.Digest{r.blob(digest, size).Digest})
	if err != nil {
		return false, fmt.Errorf("look up layer %s: %w", digest, err)
	}
	return len(missing) == 0, nil
}

func (r *Registry) blob(digest v1.Hash, size int64) cas.Blob {
	return cas.Blob{Instance: r.opts.Instance, Digest: cas.Digest{Function: cas.SHA256, Hash: digest.Hex, Size: size}}
}

// rangeOf reads a range that goes to the end: clients that resume ask for such a range.
// For any other range the answer is the whole blob.
func rangeOf(header string, size int64) (offset int64, partial bool) {
	from, found := strings.CutPrefix(header, "bytes=")
	if !found {
		return 0, false
	}
	from, found = strings.CutSuffix(from, "-")
	offset, err := strconv.ParseInt(from, 10, 64)
	if !found || err != nil || offset < 0 || offset >= size {
		return 0, false
	}
	return offset, true
}
