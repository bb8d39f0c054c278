// Package casregistry is an OCI registry in front of a remote cache. It stores
// manifests, configs and tags in a folder, but no layers: a layer that a manifest
// names is in the registry as long as the cache has it, and a pull reads it from the
// cache. So a push takes a few requests of a few kilobytes each, and the image lives
// as long as the cache keeps its layers.
//
// It serves the pull and push parts of the OCI distribution spec 1.1. Blobs belong
// to the whole registry: a client that can read one repository can read all blobs.
package casregistry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/pushspec"
)

// CAS is the remote cache that has the layers. [cas.Client] is one. Its digests must
// be SHA-256, like those of the registry.
type CAS interface {
	// Stream reads a blob from offset on, without verifying it.
	Stream(ctx context.Context, blob cas.Blob, offset int64) (io.ReadCloser, error)
	// FindMissing returns the digests that the instance lacks, and renews the others.
	FindMissing(ctx context.Context, instance string, digests []cas.Digest) ([]cas.Digest, error)
}

// Options are the options of a [Registry]. All but Instance are required.
type Options struct {
	// Folder holds what is not in the cache. It is created if it is missing.
	Folder string
	CAS    CAS
	// Instance is the --remote_instance_name of the builds.
	Instance string
	Logger   zerolog.Logger
}

// Registry is an OCI registry. It is an [http.Handler].
type Registry struct {
	opts    Options
	folder  folder
	uploads uploads
}

// New opens the registry in a folder.
func New(opts Options) (*Registry, error) {
	folder, err := openFolder(opts.Folder)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	return &Registry{opts: opts, folder: folder, uploads: uploads{folder: folder}}, nil
}

// Close closes the folder.
func (r *Registry) Close() error { return r.folder.root.Close() }

// ServeHTTP implements [http.Handler]. Paths are those of the distribution spec,
// "Endpoints".
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if err := r.serve(w, req); err != nil {
		answer(w, req, err, r.opts.Logger)
	}
}

func (r *Registry) serve(w http.ResponseWriter, req *http.Request) error {
	path, found := strings.CutPrefix(req.URL.Path, "/v2/")
	if !found && req.URL.Path != "/v2" {
		return &refusal{status: http.StatusNotFound, code: "UNSUPPORTED", message: "this is a registry: every path must begin with /v2/"}
	}
	if path == "" {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	// From the right: a repository may have "blobs" in its name.
	for _, kind := range []struct {
		infix string
		serve func(w http.ResponseWriter, req *http.Request, repository, rest string) error
	}{
		{"/blobs/uploads/", r.serveUpload},
		{"/blobs/", r.serveBlob},
		{"/manifests/", r.serveManifest},
		{"/tags/", r.serveTags},
	} {
		at := strings.LastIndex(path, kind.infix)
		if at < 0 {
			continue
		}
		repository, rest := path[:at], path[at+len(kind.infix):]
		if strings.Contains(rest, "/") {
			continue
		}
		if err := pushspec.CheckRepository(repository); err != nil {
			return &refusal{status: http.StatusBadRequest, code: "NAME_INVALID", message: err.Error()}
		}
		return kind.serve(w, req, repository, rest)
	}
	return &refusal{status: http.StatusNotFound, code: "UNSUPPORTED", message: "the registry does not have this endpoint"}
}
