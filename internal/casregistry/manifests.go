package casregistry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/pushspec"
)

// maxManifest bounds a manifest, in bytes, as the distribution spec advises.
const maxManifest = 4 << 20

// maxTags bounds the tags of one request.
const maxTags = 100

// serveManifest answers requests for a manifest, by tag or by digest.
func (r *Registry) serveManifest(c *call) error {
	switch c.req.Method {
	case http.MethodGet, http.MethodHead:
		return r.getManifest(c)
	case http.MethodPut:
		return r.putManifest(c)
	case http.MethodDelete:
		return r.deleteManifest(c)
	}
	return notAllowed()
}

// resolve gives the digest that a reference stands for.
func (r *Registry) resolve(repository, reference string) (v1.Hash, bool, error) {
	if pushspec.CheckTag(reference) != nil {
		digest, err := sha256Digest(reference)
		return digest, err == nil, err
	}
	kept, found, err := r.folder.record(tagPath(repository, reference))
	if err != nil || !found {
		return v1.Hash{}, false, err
	}
	digest, err := v1.NewHash(kept.Value)
	return digest, err == nil, err
}

func manifestUnknown(reference string) error {
	return &refusal{status: http.StatusNotFound, code: "MANIFEST_UNKNOWN", message: "the repository has no manifest " + reference}
}

func (r *Registry) getManifest(c *call) error {
	if err := r.mayRead(c, c.repository); err != nil {
		return err
	}
	digest, found, err := r.resolve(c.repository, c.reference)
	if err != nil {
		return err
	}
	if !found {
		return manifestUnknown(c.reference)
	}
	kept, found, err := r.folder.record(manifestPath(c.repository, digest))
	if err != nil {
		return err
	}
	if !found {
		return manifestUnknown(c.reference)
	}
	file, err := r.folder.root.Open(blobPath(digest))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	mediaType := kept.Value
	if _, known := manifestTypes[mediaType]; !known {
		mediaType = "application/octet-stream" // from before types were checked
	}
	c.w.Header().Set("Content-Type", mediaType)
	c.w.Header().Set("Docker-Content-Digest", digest.String())
	c.w.Header().Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	c.w.WriteHeader(http.StatusOK)
	if c.req.Method == http.MethodGet {
		_, _ = io.Copy(c.w, file) // the client is gone if it fails
	}
	return nil
}

func (r *Registry) putManifest(c *call) error {
	tags := c.req.URL.Query()["tag"]
	byTag := pushspec.CheckTag(c.reference) == nil
	if byTag {
		tags = append(tags, c.reference)
	}
	if len(tags) > maxTags {
		return &refusal{status: http.StatusBadRequest, code: "TAG_INVALID", message: fmt.Sprintf("a request must not have more than %d tags", maxTags)}
	}
	for _, tag := range tags {
		if err := pushspec.CheckTag(tag); err != nil {
			return &refusal{status: http.StatusBadRequest, code: "TAG_INVALID", message: err.Error()}
		}
	}
	keepTags, err := r.mayPush(c, tags, "")
	if err != nil {
		return err
	}
	got, err := r.receive(c, maxManifest)
	if err != nil {
		return err
	}
	digest, err := sha256Digest(got.digest())
	if err == nil && !byTag {
		var given v1.Hash
		if given, err = sha256Digest(c.reference); err == nil && given != digest {
			err = &refusal{status: http.StatusBadRequest, code: "DIGEST_INVALID", message: "the manifest has another digest: " + digest.String()}
		}
	}
	put := manifestPut{got: got, digest: digest, tags: tags, keepTags: keepTags}
	if err == nil {
		err = r.read(c, &put)
	}
	if err == nil {
		err = r.keepManifest(c, &put)
	}
	if !put.kept {
		got.discard()
	}
	if err != nil {
		return err
	}
	for _, tag := range c.req.URL.Query()["tag"] {
		c.w.Header().Add("OCI-Tag", tag)
	}
	created(c.w, "/v2/"+c.repository+"/manifests/"+digest.String(), digest)
	return nil
}

// manifestPut is a manifest that is on its way into a repository.
type manifestPut struct {
	got    *received
	digest v1.Hash
	tags   []string
	// keepTags are those that must not be written over.
	keepTags []string

	mediaType string
	refers    references
	// layers are those that the cache has, and the repository does not yet.
	layers []descriptor
	kept   bool
}

// read reads a manifest, and refuses one that names what neither the repository nor the
// cache has.
func (r *Registry) read(c *call, put *manifestPut) error {
	_, err := put.got.file.Seek(0, io.SeekStart)
	if err != nil {
		return err
	}
	r.parsing <- struct{}{}
	put.refers, err = readReferences(put.got.file)
	<-r.parsing
	if err != nil {
		return err
	}
	if put.mediaType, err = put.refers.checkType(c.req.Header.Get("Content-Type")); err != nil {
		return err
	}
	var cached []cas.Digest
	for _, d := range put.refers.blobs {
		_, linked, err := r.folder.link(c.repository, d.digest)
		if err != nil {
			return err
		}
		stored := false
		if linked {
			stored, err = r.folder.has(blobPath(d.digest))
		}
		if err != nil {
			return err
		}
		if stored || (d.elsewhere && !linked) {
			continue
		}
		cached = append(cached, r.blob(d.digest, d.size).Digest)
		put.layers = append(put.layers, d)
	}
	return r.wantCached(c.req.Context(), cached)
}

// wantCached refuses blobs that the cache does not have.
func (r *Registry) wantCached(ctx context.Context, blobs []cas.Digest) error {
	if len(blobs) == 0 {
		return nil
	}
	missing, err := r.opts.CAS.FindMissing(ctx, r.opts.Instance, blobs)
	if err != nil {
		return fmt.Errorf("look up the layers: %w", err)
	}
	if len(missing) == 0 {
		return nil
	}
	refused := &refusal{
		status: http.StatusBadRequest, code: "MANIFEST_BLOB_UNKNOWN",
		message: "neither the repository nor the cache has the blob in the size that the manifest says; push it, or build the image again",
	}
	for _, d := range missing {
		refused.details = append(refused.details, "sha256:"+d.Hash)
	}
	return refused
}

// keepManifest writes a manifest, and then the tags that point to it.
func (r *Registry) keepManifest(c *call, put *manifestPut) error {
	defer r.changes(c.repository)()
	for _, tag := range put.tags {
		if err := r.checkKept(c, put, tag); err != nil {
			return err
		}
	}
	for _, d := range put.refers.manifests {
		if there, err := r.folder.has(manifestPath(c.repository, d.digest)); err != nil {
			return err
		} else if !there {
			return &refusal{
				status: http.StatusBadRequest, code: "MANIFEST_BLOB_UNKNOWN",
				message: "the index lists a manifest that the repository does not have; push that manifest first", details: []string{d.digest.String()},
			}
		}
	}
	client := c.client.Name
	for _, d := range put.layers {
		if err := r.keepRecord(linkPath(c.repository, d.digest), record{Value: strconv.FormatInt(d.size, 10), Client: client, Size: fileCharge}, nothing); err != nil {
			return err
		}
	}
	// A blob may have been deleted since it was looked up.
	for _, d := range put.refers.blobs {
		if _, linked, err := r.folder.link(c.repository, d.digest); err != nil {
			return err
		} else if !linked && !d.elsewhere {
			return blobUnknown(d.digest.String())
		}
	}
	size := put.got.size
	r.accounts.add(client, -size)
	put.got.size = 0
	if err := r.keepRecord(manifestPath(c.repository, put.digest), record{Value: put.mediaType, Client: client, Size: size + fileCharge}, func() error {
		put.kept = true
		return put.got.keep(blobPath(put.digest))
	}); err != nil {
		return fmt.Errorf("store manifest %s: %w", put.digest, err)
	}
	for _, tag := range put.tags {
		if err := r.keepRecord(tagPath(c.repository, tag), record{Value: put.digest.String(), Client: client, Size: fileCharge}, nothing); err != nil {
			return fmt.Errorf("store tag %s: %w", tag, err)
		}
	}
	return nil
}

// checkKept refuses a tag that points to another manifest already, if it has to go on
// pointing there.
func (r *Registry) checkKept(c *call, put *manifestPut, tag string) error {
	if !slices.Contains(put.keepTags, tag) {
		return nil
	}
	to, found, err := r.resolve(c.repository, tag)
	if err != nil || !found || to == put.digest {
		return err
	}
	return denied(Client{Name: c.client.Name}, fmt.Sprintf("the tag %s points to %s already, and the daemon's policy (never_overwrite) does not let %s write over it", tag, to, c.client.Name))
}
