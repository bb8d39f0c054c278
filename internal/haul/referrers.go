package haul

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxReferrers bounds the index of referrers that is read back, in bytes.
const maxReferrers = 4 << 20

// referrer is what is read of a manifest to list it as a referrer.
type referrer struct {
	ArtifactType string            `json:"artifactType"`
	Config       *v1.Descriptor    `json:"config"`
	Subject      *v1.Descriptor    `json:"subject"`
	Annotations  map[string]string `json:"annotations"`
}

// listReferrer adds a manifest that has a subject to the index under the
// subject's fallback tag, in a registry that keeps no track of referrers itself
// (distribution spec, "Pushing Manifests with Subject").
func (j *job) listReferrer(ctx context.Context, m *v1.Descriptor) error {
	var doc referrer
	if err := json.Unmarshal(m.Data, &doc); err != nil || doc.Subject == nil {
		return nil
	}
	entry := v1.Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: m.Size, ArtifactType: doc.ArtifactType, Annotations: doc.Annotations}
	if entry.ArtifactType == "" && doc.Config != nil {
		entry.ArtifactType = string(doc.Config.MediaType)
	}
	subject := doc.Subject.Digest
	tag := strings.ReplaceAll(subject.String(), ":", "-")

	// There is no way to write an index only if nobody else has; at least nobody
	// else here does.
	unlock, err := j.hauler.tags.lock(ctx, place{j.to.Registry(), j.to.Name(), subject})
	if err != nil {
		return fmt.Errorf("wait for the referrers of %s: %w", subject, err)
	}
	defer unlock()
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	data, _, found, err := j.to.Manifest(ctx, tag, maxReferrers)
	if err != nil {
		return failure(ctx, "referrers of "+subject.String(), err)
	}
	if found {
		if err := json.Unmarshal(data, &index); err != nil {
			return &Error{Class: Rejected, Text: fmt.Sprintf("referrers of %s: tag %s is not an index: %v", subject, tag, err), Err: err}
		}
	}
	for _, listed := range index.Manifests {
		if listed.Digest == m.Digest {
			return nil
		}
	}
	index.Manifests = append(index.Manifests, entry)
	data, err = json.Marshal(index, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("write index of referrers: %w", err)
	}
	if _, err := j.to.PutManifest(ctx, tag, string(types.OCIImageIndex), data); err != nil {
		return failure(ctx, "referrers of "+subject.String(), err)
	}
	return nil
}

func asRejected(err error, failed **Error) bool {
	return errors.As(err, failed) && ((*failed).Class == Rejected || (*failed).Class == Denied)
}
