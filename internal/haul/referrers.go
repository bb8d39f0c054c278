package haul

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
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

// referrerIndex is the index of referrers that others write too: what they say there,
// and this program knows nothing of, stays.
type referrerIndex struct {
	SchemaVersion int              `json:"schemaVersion"`
	MediaType     types.MediaType  `json:"mediaType"`
	Manifests     []jsontext.Value `json:"manifests"`
	Rest          jsontext.Value   `json:",embed"`
}

func (i *referrerIndex) lists(digest v1.Hash) bool {
	return slices.ContainsFunc(i.Manifests, func(entry jsontext.Value) bool {
		var listed struct {
			Digest v1.Hash `json:"digest"`
		}
		return json.Unmarshal(entry, &listed) == nil && listed.Digest == digest
	})
}

func (i *referrerIndex) add(d v1.Descriptor) error {
	entry, err := json.Marshal(d, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("write descriptor of %s: %w", d.Digest, err)
	}
	i.Manifests = append(i.Manifests, entry)
	return nil
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
	index := referrerIndex{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	data, _, found, err := j.to.Manifest(ctx, tag, maxReferrers)
	if err != nil {
		return failure(ctx, "referrers of "+subject.String(), err)
	}
	if found {
		if err := json.Unmarshal(data, &index); err != nil {
			return &Error{Class: Rejected, Text: fmt.Sprintf("referrers of %s: tag %s is not an index: %v", subject, tag, err), Err: err}
		}
	}
	if index.lists(m.Digest) {
		return nil
	}
	if err := index.add(entry); err != nil {
		return err
	}
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
