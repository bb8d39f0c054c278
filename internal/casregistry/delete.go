package casregistry

import (
	"errors"
	"io/fs"
	"net/http"
	"path"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/pushspec"
)

// deleteManifest deletes a tag, or a manifest with all tags that point to it and the blobs
// that nothing else in the repository refers to.
func (r *Registry) deleteManifest(c *call) error {
	if err := r.mayDelete(c); err != nil {
		return err
	}
	r.deleting.Lock()
	defer r.deleting.Unlock()
	var err error
	if pushspec.CheckTag(c.reference) == nil {
		var found bool
		if found, err = r.removeRecord(tagPath(c.repository, c.reference)); err == nil && !found {
			err = manifestUnknown(c.reference)
		}
	} else {
		var digest v1.Hash
		if digest, err = sha256Digest(c.reference); err == nil {
			err = r.removeManifest(c.repository, digest)
		}
	}
	if err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusAccepted)
	return nil
}

// removeManifest is called while nothing is written.
func (r *Registry) removeManifest(repository string, digest v1.Hash) error {
	if found, err := r.folder.has(manifestPath(repository, digest)); err != nil {
		return err
	} else if !found {
		return manifestUnknown(digest.String())
	}
	tags, _, err := r.folder.tags(repository)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		if to, _, err := r.resolve(repository, tag); err == nil && to == digest {
			if _, err := r.removeRecord(tagPath(repository, tag)); err != nil {
				return err
			}
		}
	}
	refers, unreadable := r.folder.references(digest)
	if _, err := r.removeRecord(manifestPath(repository, digest)); err != nil {
		return err
	}
	if unreadable == nil {
		if err := r.removeLinks(repository, refers.blobs); err != nil {
			return err
		}
	}
	return r.removeBlobs(append(refers.blobs, descriptor{digest: digest}))
}

// removeLinks takes blobs from a repository that none of its manifests refers to.
func (r *Registry) removeLinks(repository string, blobs []descriptor) error {
	unused := map[v1.Hash]bool{}
	for _, blob := range blobs {
		unused[blob.digest] = true
	}
	manifests, err := r.folder.list(path.Dir(manifestPath(repository, v1.Hash{Hex: "any"})))
	if err != nil {
		return err
	}
	for _, hex := range manifests {
		refers, err := r.folder.references(v1.Hash{Algorithm: "sha256", Hex: hex})
		if err != nil {
			return err
		}
		for _, blob := range refers.blobs {
			delete(unused, blob.digest)
		}
	}
	for digest := range unused {
		if _, err := r.removeRecord(linkPath(repository, digest)); err != nil {
			return err
		}
	}
	return nil
}

// removeBlobs deletes the files of blobs that no repository has.
func (r *Registry) removeBlobs(blobs []descriptor) error {
	repositories, err := r.folder.repositories()
	if err != nil {
		return err
	}
	for _, blob := range blobs {
		used := false
		for _, repository := range repositories {
			linked, err := r.folder.has(linkPath(repository, blob.digest))
			if err != nil {
				return err
			}
			manifest, err := r.folder.has(manifestPath(repository, blob.digest))
			if err != nil {
				return err
			}
			if used = linked || manifest; used {
				break
			}
		}
		if used {
			continue
		}
		if err := r.folder.root.Remove(blobPath(blob.digest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
