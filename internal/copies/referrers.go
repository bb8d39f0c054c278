package copies

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

func mediaType(text string) types.MediaType { return types.MediaType(text) }

// addReferrers adds the referrers of the manifests so far, and the referrers of those
// referrers.
func (r *reader) addReferrers(ctx context.Context) error {
	own := len(r.image.Manifests)
	for i := 0; i < len(r.image.Manifests); i++ { //nolint:intrange // what refers to a referrer is appended while this goes on
		subject := r.image.Manifests[i].Digest
		listed, err := r.listed(ctx, subject)
		if err != nil {
			return err
		}
		for _, digest := range listed {
			if r.there[digest] {
				continue
			}
			if err := r.addReferrer(ctx, subject, digest); err != nil {
				return err
			}
		}
	}
	r.image.Referrers = len(r.image.Manifests) - own
	return nil
}

func (r *reader) addReferrer(ctx context.Context, subject, digest v1.Hash) error {
	d, found, err := r.manifest(ctx, digest.String())
	if err != nil {
		return err
	}
	if !found {
		r.image.Gone = append(r.image.Gone, digest)
		return nil
	}
	doc, err := read(&d)
	if err != nil {
		return fmt.Errorf("referrer of %s: %w", subject, err)
	}
	if doc.Subject == nil || doc.Subject.Digest != subject {
		return nil // it is listed, but refers to something else
	}
	return r.add(ctx, d)
}

// listed are the digests of a manifest's referrers, by the registry's list or else by
// the index under the fallback tag.
func (r *reader) listed(ctx context.Context, subject v1.Hash) ([]v1.Hash, error) {
	listed, kept, err := r.repository.PullReferrers(ctx, subject)
	if kept || err != nil {
		return listed, err
	}
	tag := strings.ReplaceAll(subject.String(), ":", "-")
	for read := 1; ; read++ {
		index, found, err := r.repository.PullManifest(ctx, tag, pushspec.MaxDataSize)
		if err != nil || !found {
			return nil, err
		}
		listed, err := digests(index)
		if err == nil || read == reads {
			return listed, err
		}
	}
}

func digests(index v1.Descriptor) ([]v1.Hash, error) {
	var doc struct {
		Manifests []struct {
			Digest string `json:"digest"`
		} `json:"manifests"`
	}
	if err := pushspec.CheckDocument(index.Data, registry.MaxReferrers); err != nil {
		return nil, fmt.Errorf("the index of referrers %s is not valid: %w", index.Digest, err)
	}
	if err := json.Unmarshal(index.Data, &doc); err != nil {
		return nil, fmt.Errorf("the index of referrers %s is not valid: %w", index.Digest, err)
	}
	var listed []v1.Hash
	for _, m := range doc.Manifests {
		if digest, err := v1.NewHash(m.Digest); err == nil {
			listed = append(listed, digest)
		}
	}
	return listed, nil
}
