// Package casregistry is an OCI registry in front of a remote cache. It keeps
// manifests, configs and tags in a folder, and no layer: a layer that a manifest
// names is in the registry if the cache has it, and is read from there when
// somebody pulls it. So an image is pushed in a few requests of a few kilobytes
// each, and lives as long as the cache keeps its layers.
//
// It serves the pull and push parts of the OCI distribution spec 1.1. Blobs belong
// to the registry as a whole: who can read one repository can read all.
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

// CAS is where the layers are. [cas.Client] is one. Its digests are SHA-256, as
// those of the registry are.
type CAS interface {
	// Stream reads a blob from offset on, without verifying it.
	Stream(ctx context.Context, blob cas.Blob, offset int64) (io.ReadCloser, error)
	// FindMissing tells which digests the instance lacks, and renews the others.
	FindMissing(ctx context.Context, instance string, digests []cas.Digest) ([]cas.Digest, error)
}

// Options are a [Registry]'s. All but Instance are required.
type Options struct {
	// Folder holds what is not in the cache. It is made if it is not there.
	Folder string
	CAS    CAS
	// Instance is the builds' --remote_instance_name.
	Instance string
	Logger   zerolog.Logger
}

// Registry is the registry, an [http.Handler].
type Registry struct {
	opts    Options
	folder  folder
	uploads uploads
}

// New opens the registry of a folder.
func New(opts Options) (*Registry, error) {
	folder, err := openFolder(opts.Folder)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	return &Registry{opts: opts, folder: folder, uploads: uploads{folder: folder}}, nil
}

// Close lets go of the folder.
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
		return &refusal{status: http.StatusNotFound, code: "UNSUPPORTED", message: "this is a registry: its paths begin with /v2/"}
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
