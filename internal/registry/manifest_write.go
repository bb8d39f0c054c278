package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Written is how a registry answered to a manifest.
type Written struct {
	// Tags are those that the registry says it has set, of several that were sent
	// along (distribution spec, "OCI-Tag").
	Tags []string
	// Subject is set where the registry keeps track of referrers itself
	// (distribution spec, "OCI-Subject").
	Subject bool
}

// PutManifest writes a manifest under a reference: its digest, or a tag. Further
// tags are offered in the same request; see [Written.Tags] for those that were
// taken. A registry that refuses the offer is given the manifest without it. What was
// sent a moment ago, and is not visible in the registry yet, is waited for.
func (r *Repository) PutManifest(ctx context.Context, reference string, mediaType string, data []byte, tags ...string) (Written, error) {
	w := manifestWrite{repository: r, reference: reference, mediaType: mediaType, data: data}
	offered := tags
	if limit := int(r.host.learned.tagLimit.Load()); limit > 0 && len(offered) > limit {
		offered = offered[:limit]
	}
	if !r.SetsManyTags() {
		offered = nil
	}
	written, err := w.patiently(ctx, offered)
	if failed := asError(err); len(offered) > 0 && failed.refusesTags() {
		if written, err = w.patiently(ctx, nil); err == nil {
			r.learnTags(failed, len(offered))
		}
	}
	return written, err
}

// manifestWrite is one manifest on its way to one reference.
type manifestWrite struct {
	repository *Repository
	reference  string
	mediaType  string
	data       []byte
	patience   patience
}

func (w *manifestWrite) op() string { return "write manifest " + w.repository.name + at(w.reference) }

// patiently writes the manifest, and again where the registry does not see yet what
// it has just been sent.
func (w *manifestWrite) patiently(ctx context.Context, tags []string) (Written, error) {
	r := w.repository
	for attempt := 1; ; attempt++ {
		written, err := w.put(ctx, tags)
		failed := asError(err)
		if !failed.unknown() {
			return written, err
		}
		failed.lost = true
		r.host.learned.redirectsTellNothing.set(r.host.now(), refusalLife)
		if !r.host.learned.justWritten.has(r.name, r.host.now()) {
			return written, err
		}
		if attempt >= r.host.client.opts.Attempts {
			r.host.learned.distrustMounts(r.host.now())
			return written, err
		}
		if err := r.host.pause(ctx, attempt, failed.RetryAfter); err != nil {
			return written, err
		}
	}
}

func (w *manifestWrite) put(ctx context.Context, tags []string) (Written, error) {
	r := w.repository
	c := call{
		op:     w.op(),
		method: http.MethodPut,
		url:    r.manifestURL(w.reference),
		header: http.Header{"Content-Type": {w.mediaType}},
		open:   bytesBody(w.data),
		size:   int64(len(w.data)),
		scopes: pushScopes(r.name),
		ok:     []int{http.StatusCreated, http.StatusOK, http.StatusAccepted, http.StatusNoContent},
	}
	if len(tags) > 0 {
		c.url += "?" + url.Values{"tag": tags}.Encode()
		c.tries = optionalTries
	} else if !w.hasSubject() {
		// Whether the registry keeps track of subjects only an answer tells.
		c.carriedOut = func(ctx context.Context, failed *Error) bool {
			return r.host.ask(ctx, w.patience.with(failed), w.isThere)
		}
	}
	a, err := r.host.request(ctx, r.caller, c)
	if errors.Is(err, errCarriedOut) {
		r.noteWritten()
		return Written{}, nil
	}
	if err != nil {
		return Written{}, err
	}
	if err := w.check(ctx, a); err != nil {
		return Written{}, err
	}
	r.noteWritten()
	written := Written{Subject: a.header.Get("OCI-Subject") != ""}
	if said := r.host.quirks().referrers; said != nil {
		written.Subject = *said
	}
	for _, value := range a.header.Values("OCI-Tag") {
		for tag := range strings.SplitSeq(value, ",") {
			if tag = strings.TrimSpace(tag); slices.Contains(tags, tag) && !slices.Contains(written.Tags, tag) {
				written.Tags = append(written.Tags, tag)
			}
		}
	}
	if len(tags) > 0 && len(written.Tags) == 0 {
		r.host.learned.noManyTags.set(r.host.now(), manyTagsLife)
	}
	return written, nil
}

func (w *manifestWrite) hasSubject() bool {
	var doc struct {
		Subject *v1.Descriptor `json:"subject"`
	}
	return unmarshalLoosely(w.data, &doc) != nil || doc.Subject != nil
}

// bytesBody is a request's body in memory.
func bytesBody(data []byte) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

// noteWritten notes that the repository has just been given something.
func (r *Repository) noteWritten() { r.host.learned.justWritten.note(r.name, r.host.now()) }
