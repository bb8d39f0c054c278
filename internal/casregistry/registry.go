// Package casregistry is an OCI registry in front of a remote cache. It stores
// manifests, configs and tags in a folder, but no layers: a layer that a manifest
// names is in the registry as long as the cache has it, and a pull reads it from the
// cache. So a push takes a few requests of a few kilobytes each, and the image lives
// as long as the cache keeps its layers.
//
// It serves the pull and push parts of the OCI distribution spec 1.1. A blob is served
// from a repository only if it was uploaded there, or if a manifest there names it.
package casregistry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

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

// Options are the options of a [Registry]. Folder, CAS and Logger are required.
type Options struct {
	// Folder holds what is not in the cache. It is created if it is missing.
	Folder string
	CAS    CAS
	// Instance is the --remote_instance_name of the builds.
	Instance string
	// Access says who may do what. Nil is everybody, everything.
	Access Access
	Limits Limits
	Logger zerolog.Logger
}

// Registry is an OCI registry. It is an [http.Handler].
type Registry struct {
	opts     Options
	folder   folder
	accounts *accounts
	uploads  *uploads

	// deleting is locked by what deletes, and read-locked by what writes, so that nothing
	// comes to refer to what is being deleted. writing is for the tags and manifests of a
	// repository, by the hash of its name. Neither is held while a peer is waited for.
	deleting sync.RWMutex
	writing  [64]sync.Mutex
	// parsing bounds the manifests that are in memory: one can take twenty times its size.
	parsing chan struct{}

	handler http.Handler
}

// New opens the registry in a folder.
func New(opts Options) (*Registry, error) {
	if opts.Access == nil {
		opts.Access = everybody{}
	}
	folder, err := openFolder(opts.Folder)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	r := &Registry{opts: opts, folder: folder, accounts: newAccounts(opts.Limits), parsing: make(chan struct{}, 2)}
	r.uploads = newUploads(time.Now)
	if err := folder.eachRecord(func(_ string, kept record) error {
		r.accounts.add(kept.Client, kept.Size)
		return nil
	}); err != nil {
		_ = folder.root.Close()
		return nil, fmt.Errorf("open registry: %w", err)
	}
	// A page of another site can have a browser begin an upload, though it cannot read the
	// answer.
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		answer(w, req, &refusal{status: http.StatusForbidden, code: "DENIED", message: "the request comes from a page of another site"}, opts.Logger)
	}))
	r.handler = protection.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := r.serve(w, req); err != nil {
			answer(w, req, err, r.opts.Logger)
		}
	}))
	return r, nil
}

// Close closes the folder.
func (r *Registry) Close() error { return r.folder.root.Close() }

// ServeHTTP implements [http.Handler]. Paths are those of the distribution spec,
// "Endpoints".
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	// Whatever a client has stored, no browser makes a page of it.
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	r.handler.ServeHTTP(w, req)
}

func (r *Registry) serve(w http.ResponseWriter, req *http.Request) error {
	path, found := strings.CutPrefix(req.URL.Path, "/v2/")
	if !found && req.URL.Path != "/v2" {
		return &refusal{status: http.StatusNotFound, code: "UNSUPPORTED", message: "this is a registry: every path must begin with /v2/"}
	}
	client, err := r.opts.Access.Client(req)
	if err != nil {
		return unauthorized(err.Error())
	}
	if path == "" {
		// Most clients show a token only if they are asked for it here.
		if client.Asked {
			return unauthorized("log in with a token as the password, and any user name")
		}
		w.WriteHeader(http.StatusOK)
		return nil
	}
	// From the right: a repository may have "blobs" in its name.
	for _, kind := range []struct {
		infix string
		serve func(*call) error
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
		repository, reference := path[:at], path[at+len(kind.infix):]
		if strings.Contains(reference, "/") {
			continue
		}
		if err := checkRepository(repository); err != nil {
			return err
		}
		return kind.serve(&call{w: w, req: req, client: client, repository: repository, reference: reference})
	}
	return &refusal{status: http.StatusNotFound, code: "UNSUPPORTED", message: "the registry does not have this endpoint"}
}

func checkRepository(name string) error {
	if err := pushspec.CheckRepository(name); err != nil {
		return &refusal{status: http.StatusBadRequest, code: "NAME_INVALID", message: err.Error()}
	}
	return nil
}
