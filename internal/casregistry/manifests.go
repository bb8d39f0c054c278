package casregistry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/pushspec"
)

// maxManifest bounds a manifest, in bytes, as the distribution spec advises.
const maxManifest = 4 << 20

// serveManifest answers requests for a manifest, by tag or by digest.
func (r *Registry) serveManifest(w http.ResponseWriter, req *http.Request, repository, reference string) error {
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		return r.getManifest(w, req, repository, reference)
	case http.MethodPut:
		return r.putManifest(w, req, repository, reference)
	case http.MethodDelete:
		return r.deleteManifest(w, repository, reference)
	}
	return notAllowed()
}

// resolve gives the digest that a reference stands for.
func (r *Registry) resolve(repository, reference string) (v1.Hash, bool, error) {
	if pushspec.CheckTag(reference) != nil {
		digest, err := sha256Digest(reference)
		return digest, err == nil, err
	}
	text, found, err := r.folder.read(tagPath(repository, reference))
	if err != nil || !found {
		return v1.Hash{}, false, err
	}
	digest, err := v1.NewHash(text)
	return digest, err == nil, err
}

func manifestUnknown(reference string) error {
	return &refusal{status: http.StatusNotFound, code: "MANIFEST_UNKNOWN", message: "the repository has no manifest " + reference}
}

func (r *Registry) getManifest(w http.ResponseWriter, req *http.Request, repository, reference string) error {
	digest, found, err := r.resolve(repository, reference)
	if err != nil {
		return err
	}
	if !found {
		return manifestUnknown(reference)
	}
	mediaType, found, err := r.folder.read(manifestPath(repository, digest))
	if err != nil {
		return err
	}
	if !found {
		return manifestUnknown(reference)
	}
	data, err := r.folder.root.ReadFile(blobPath(digest))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Docker-Content-Digest", digest.String())
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(http.StatusOK)
	if req.Method == http.MethodGet {
		_, _ = w.Write(data) // the client is gone if it fails
	}
	return nil
}

// references has the fields of a manifest or an index that are needed here.
type references struct {
	Config    *v1.Descriptor  `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
	Manifests []v1.Descriptor `json:"manifests"`
}

func (r *Registry) putManifest(w http.ResponseWriter, req *http.Request, repository, reference string) error {
	data, err := io.ReadAll(io.LimitReader(req.Body, maxManifest+1))
	if err != nil {
		return fmt.Errorf("receive manifest: %w", err)
	}
	if len(data) > maxManifest {
		return &refusal{status: http.StatusRequestEntityTooLarge, code: "SIZE_INVALID", message: "a manifest must not be larger than 4 MiB"}
	}
	digest, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return err
	}
	tags := req.URL.Query()["tag"]
	if pushspec.CheckTag(reference) == nil {
		tags = append(tags, reference)
	} else if given, err := sha256Digest(reference); err != nil {
		return err
	} else if given != digest {
		return &refusal{status: http.StatusBadRequest, code: "DIGEST_INVALID", message: "the manifest has another digest: " + digest.String()}
	}
	for _, tag := range tags {
		if err := pushspec.CheckTag(tag); err != nil {
			return &refusal{status: http.StatusBadRequest, code: "TAG_INVALID", message: err.Error()}
		}
	}
	var refers references
	err = pushspec.CheckDocument(data, pushspec.MaxBlobs)
	if err == nil {
		err = json.Unmarshal(data, &refers)
	}
	if err != nil {
		return &refusal{status: http.StatusBadRequest, code: "MANIFEST_INVALID", message: "the body must be a manifest: " + err.Error()}
	}
	if err := r.checkReferences(req.Context(), repository, refers); err != nil {
		return err
	}
	mediaType := req.Header.Get("Content-Type")
	if err := r.keepManifest(repository, digest, mediaType, data, tags); err != nil {
		return fmt.Errorf("store manifest %s: %w", digest, err)
	}
	for _, tag := range req.URL.Query()["tag"] {
		w.Header().Add("OCI-Tag", tag)
	}
	created(w, "/v2/"+repository+"/manifests/"+digest.String(), digest)
	return nil
}

// keepManifest writes a manifest, and then the files that point to it.
func (r *Registry) keepManifest(repository string, digest v1.Hash, mediaType string, data []byte, tags []string) error {
	if err := r.folder.write(blobPath(digest), data); err != nil {
		return err
	}
	if err := r.folder.write(manifestPath(repository, digest), []byte(mediaType)); err != nil {
		return err
	}
	for _, tag := range tags {
		if err := r.folder.write(tagPath(repository, tag), []byte(digest.String())); err != nil {
			return err
		}
	}
	return nil
}

// checkReferences refuses a manifest that names a missing blob or manifest, and
// stores the sizes of the layers that the cache has.
func (r *Registry) checkReferences(ctx context.Context, repository string, refers references) error {
	for _, d := range refers.Manifests {
		if _, err := sha256Digest(d.Digest.String()); err != nil {
			return err
		}
		there, err := r.folder.has(manifestPath(repository, d.Digest))
		if err != nil {
			return err
		}
		if !there {
			return &refusal{
				status: http.StatusBadRequest, code: "MANIFEST_BLOB_UNKNOWN",
				message: "the index lists a manifest that the repository does not have; push that manifest first", details: []string{d.Digest.String()},
			}
		}
	}
	blobs := refers.Layers
	if refers.Config != nil {
		blobs = append([]v1.Descriptor{*refers.Config}, blobs...)
	}
	var cached []cas.Digest
	for _, d := range blobs {
		if _, err := sha256Digest(d.Digest.String()); err != nil {
			return err
		}
		there, err := r.folder.has(blobPath(d.Digest))
		if err != nil {
			return err
		}
		if there || !pushspec.Distributable(d.MediaType) {
			continue
		}
		cached = append(cached, r.blob(d.Digest, d.Size).Digest)
	}
	if len(cached) == 0 {
		return nil
	}
	missing, err := r.opts.CAS.FindMissing(ctx, r.opts.Instance, cached)
	if err != nil {
		return fmt.Errorf("look up the layers: %w", err)
	}
	if len(missing) > 0 {
		refused := &refusal{
			status: http.StatusBadRequest, code: "MANIFEST_BLOB_UNKNOWN",
			message: "neither the registry nor its cache has the blob in the size that the manifest says; push it, or build the image again",
		}
		for _, d := range missing {
			refused.details = append(refused.details, "sha256:"+d.Hash)
		}
		return refused
	}
	for _, d := range cached {
		if err := r.folder.addLayer(v1.Hash{Algorithm: "sha256", Hex: d.Hash}, d.Size); err != nil {
			return fmt.Errorf("store the size of layer sha256:%s: %w", d.Hash, err)
		}
	}
	return nil
}

// deleteManifest deletes a tag, or a manifest with all tags that point to it.
func (r *Registry) deleteManifest(w http.ResponseWriter, repository, reference string) error {
	var paths []string
	if pushspec.CheckTag(reference) == nil {
		paths = []string{tagPath(repository, reference)}
	} else {
		digest, err := sha256Digest(reference)
		if err != nil {
			return err
		}
		tags, _, err := r.folder.tags(repository)
		if err != nil {
			return err
		}
		for _, tag := range tags {
			if to, _, err := r.resolve(repository, tag); err == nil && to == digest {
				paths = append(paths, tagPath(repository, tag))
			}
		}
		paths = append(paths, manifestPath(repository, digest))
	}
	for _, path := range paths {
		if err := r.folder.root.Remove(path); errors.Is(err, fs.ErrNotExist) {
			return manifestUnknown(reference)
		} else if err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// serveTags lists a repository's tags (distribution spec, "Listing Tags").
func (r *Registry) serveTags(w http.ResponseWriter, req *http.Request, repository, rest string) error {
	if rest != "list" || req.Method != http.MethodGet {
		return notAllowed()
	}
	tags, found, err := r.folder.tags(repository)
	if err != nil {
		return err
	}
	if !found {
		return &refusal{status: http.StatusNotFound, code: "NAME_UNKNOWN", message: "the registry has no repository of this name"}
	}
	if last := req.URL.Query().Get("last"); last != "" {
		tags = slices.DeleteFunc(tags, func(tag string) bool { return tag <= last })
	}
	if n, err := strconv.Atoi(req.URL.Query().Get("n")); err == nil && n >= 0 && n < len(tags) {
		tags = tags[:n]
		if n > 0 {
			w.Header().Set("Link", fmt.Sprintf("</v2/%s/tags/list?n=%d&last=%s>; rel=\"next\"", repository, n, tags[n-1]))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.MarshalWrite(w, struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{repository, append([]string{}, tags...)})
}
