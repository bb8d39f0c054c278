package haul

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

// maxFallback bounds the index of referrers that is read and written, in bytes: what
// registries take as a manifest.
const maxFallback = 4 << 20

// fallback is the index under a subject's fallback tag. What others have put into it
// stays as it is.
type fallback struct {
	doc struct {
		SchemaVersion int              `json:"schemaVersion"`
		MediaType     types.MediaType  `json:"mediaType"`
		Manifests     []jsontext.Value `json:"manifests"`
		Rest          jsontext.Value   `json:",embed"`
	}
	digests []string // of the manifests
}

func (f *fallback) lists(digest v1.Hash) bool { return slices.Contains(f.digests, digest.String()) }

// addAll adds those that are missing, and tells whether there were any.
func (f *fallback) addAll(referrers []*part) (missing bool, err error) {
	for _, p := range referrers {
		if f.lists(p.Digest) {
			continue
		}
		missing = true
		entry, err := json.Marshal(p.entry, json.Deterministic(true))
		if err != nil {
			return false, fmt.Errorf("describe referrer %s: %w", p.Digest, err)
		}
		f.doc.Manifests, f.digests = append(f.doc.Manifests, entry), append(f.digests, p.Digest.String())
	}
	return missing, nil
}

// drop takes the entries out that are gone.
func (f *fallback) drop(gone map[string]bool) {
	entries, digests := f.doc.Manifests, f.digests
	f.doc.Manifests, f.digests = nil, nil
	for i, digest := range digests {
		if !gone[digest] {
			f.doc.Manifests, f.digests = append(f.doc.Manifests, entries[i]), append(f.digests, digest)
		}
	}
}

func (f *fallback) encode() ([]byte, error) {
	f.doc.SchemaVersion, f.doc.MediaType = 2, types.OCIImageIndex
	data, err := json.Marshal(f.doc, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("write index of referrers: %w", err)
	}
	if len(data) > maxFallback {
		return nil, &Error{Class: Rejected, Text: fmt.Sprintf("the index of referrers would take %d bytes, and registries accept at most %d", len(data), maxFallback)}
	}
	return data, nil
}

// fallbackReads is how often an index is read that cannot be one: what is between us and
// the registry may have answered in its place.
const fallbackReads = 3

// readFallback reads the index of a subject's referrers. One that is not there is
// empty.
func (s *shipment) readFallback(ctx context.Context, subject v1.Hash) (*fallback, error) {
	for read := 1; ; read++ {
		data, mediaType, found, err := s.to.Manifest(ctx, fallbackTag(subject), maxFallback)
		if err != nil {
			return nil, failure(ctx, "referrers of "+subject.String(), err)
		}
		index := &fallback{}
		if !found {
			return index, nil
		}
		if err = index.decode(data, mediaType); err == nil {
			return index, nil
		}
		if read == fallbackReads {
			return nil, &Error{Class: Rejected, Err: err, Text: fmt.Sprintf(
				"referrers of %s: the tag %s must hold an index of them, and it holds something else: %v; remove that tag", subject, fallbackTag(subject), err)}
		}
		if err := s.hauler.opts.Wait(ctx, time.Second); err != nil {
			return nil, failure(ctx, "referrers of "+subject.String(), err)
		}
	}
}

func (f *fallback) decode(data []byte, mediaType string) error {
	if err := pushspec.CheckDocument(data, registry.MaxReferrers); err != nil {
		return fmt.Errorf("it cannot be read: %w", err)
	}
	if err := json.Unmarshal(data, &f.doc); err != nil {
		return fmt.Errorf("it cannot be read: %w", err)
	}
	if f.doc.MediaType != "" {
		mediaType = string(f.doc.MediaType)
	}
	if !types.MediaType(mediaType).IsIndex() {
		return fmt.Errorf("it is of the type %q", mediaType)
	}
	for _, entry := range f.doc.Manifests {
		var named struct {
			Digest string `json:"digest"`
		}
		if err := json.Unmarshal(entry, &named); err != nil {
			return fmt.Errorf("its manifests cannot be read: %w", err)
		}
		f.digests = append(f.digests, named.Digest)
	}
	return nil
}

// gone are the entries of others that the repository has no longer: with them in it
// some registries refuse the index.
func (s *shipment) gone(ctx context.Context, index *fallback, ours []*part) (map[string]bool, error) {
	gone := map[string]bool{}
	for _, digest := range index.digests {
		if slices.ContainsFunc(ours, func(p *part) bool { return p.Digest.String() == digest }) {
			continue
		}
		if _, err := v1.NewHash(digest); err != nil {
			gone[digest] = true
			continue
		}
		_, found, err := s.to.Head(ctx, digest)
		if err != nil {
			return nil, failure(ctx, "referrer "+digest, err)
		}
		if !found {
			gone[digest] = true
		}
	}
	return gone, nil
}

// writeFallback writes the index of a subject's referrers.
func (s *shipment) writeFallback(ctx context.Context, subject v1.Hash, index *fallback, ours []*part) error {
	for pruned := false; ; pruned = true {
		data, err := index.encode()
		if err != nil {
			return err
		}
		_, err = s.to.PutManifest(ctx, fallbackTag(subject), string(types.OCIImageIndex), data)
		if err == nil {
			return nil
		}
		err = failure(ctx, "referrers of "+subject.String(), err)
		if pruned || !isUnknown(err) {
			return immutable(err, subject)
		}
		gone, lookup := s.gone(ctx, index, ours)
		if lookup != nil {
			return lookup
		}
		if len(gone) == 0 {
			return err
		}
		index.drop(gone)
	}
}

// immutable says what to do about a registry that does not take an index of referrers.
func immutable(err error, subject v1.Hash) error {
	if failed, ok := asRefusal(err); ok && failed.Class == Rejected {
		failed.Text += fmt.Sprintf("; the index under the tag %s must list the image's referrers: if tags are immutable there, exempt those that begin with sha256-", fallbackTag(subject))
	}
	return err
}
