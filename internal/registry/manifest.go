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
	"time"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Manifest reads a manifest of at most limit bytes.
func (r *Repository) Manifest(ctx context.Context, reference string, limit int64) (data []byte, mediaType string, found bool, err error) {
	op := "read manifest " + r.name + at(reference)
	resp, data, err := r.host.read(ctx, r.caller, call{
		op:     op,
		method: http.MethodGet,
		url:    r.manifestURL(reference),
		header: http.Header{"Accept": {manifestTypes}},
		scopes: pushScopes(r.name),
		ok:     []int{http.StatusOK, http.StatusNotFound},
		// What is read here is written back: what a registry refuses to show must not be
		// taken for nothing, unless this one is known to say so.
		fine: func(status int) bool { return status == http.StatusForbidden && r.host.quirks().DeniesUnknown },
	}, limit)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, "", false, err
	}
	if want, got := hashOf(reference), hashOfBytes(data); differs(got, want) {
		return nil, "", false, r.otherDigest(op, resp.StatusCode, want, got)
	}
	return data, resp.Header.Get("Content-Type"), true, nil
}

// Written is how a registry answered to a manifest.
type Written struct {
	// Tags are those that the registry says it has set, of several that were sent
	// along (distribution spec, "OCI-Tag").
	Tags []string
	// Subject is set where the registry keeps track of referrers itself
	// (distribution spec, "OCI-Subject").
	Subject bool
}

// manyTagsLife is for how long a registry that did not take several tags at once is
// not offered them again.
const manyTagsLife = time.Hour

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

// refusesTags tells whether a manifest may be taken that was refused with several tags.
func (e *Error) refusesTags() bool {
	if e == nil || e.Throttled() || e.Status >= 200 && e.Status < 300 || e.Status == http.StatusUnauthorized || e.unknown() {
		return false
	}
	return !e.Has("MANIFEST_INVALID") && !e.Has("SIZE_INVALID") && !e.Has("NAME_INVALID")
}

// learnTags notes that several tags were refused, and the manifest without them was
// not.
func (r *Repository) learnTags(failed *Error, offered int) {
	switch {
	case failed.Passing():
		// That was no answer to the tags.
	case (failed.Status == http.StatusRequestURITooLong || failed.Status == http.StatusRequestHeaderFieldsTooLarge) && offered > 2:
		r.host.learned.tagLimit.Store(int64(offered / 2))
	case failed.Has("TAG_INVALID") || failed.Status == http.StatusConflict:
		// One of these tags cannot be written. Others can.
	default:
		r.host.learned.noManyTags.set(r.host.now(), manyTagsLife)
	}
}

// SetsManyTags tells whether the registry may set several tags in one request:
// it is not known that it does not.
func (r *Repository) SetsManyTags() bool {
	return !r.host.quirks().NoManyTags && !r.host.learned.noManyTags.holds(r.host.now())
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
		r.host.learned.movedBlobs.set(r.host.now(), refusalLife)
		if !r.host.learned.landed.has(r.name, r.host.now()) {
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
	resp, err := r.host.do(ctx, r.caller, c)
	if errors.Is(err, errCarriedOut) {
		r.landed()
		return Written{}, nil
	}
	if err != nil {
		return Written{}, err
	}
	drain(resp)
	if err := w.check(ctx, resp); err != nil {
		return Written{}, err
	}
	r.landed()
	written := Written{Subject: resp.Header.Get("OCI-Subject") != ""}
	if said := r.host.quirks().Referrers; said != nil {
		written.Subject = *said
	}
	for _, value := range resp.Header.Values("OCI-Tag") {
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

// bytesBody is a request's body in memory.
func bytesBody(data []byte) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

// check tells whether what was written is what was sent. An answer that is good, but
// not the one that a manifest gets, is looked behind.
func (w *manifestWrite) check(ctx context.Context, resp *http.Response) error {
	r, want := w.repository, hashOfBytes(w.data)
	if err := r.createdSame(w.op(), resp, want); err != nil {
		return err
	}
	if resp.StatusCode == http.StatusCreated || hashOf(resp.Header.Get("Docker-Content-Digest")) == want {
		return nil
	}
	if r.host.ask(ctx, resp.StatusCode == http.StatusAccepted, w.isThere) {
		return nil
	}
	return r.notThere(w.op(), resp.StatusCode)
}

// isThere asks for what the reference leads to.
func (w *manifestWrite) isThere(ctx context.Context) (bool, error) {
	digest, found, err := w.repository.lookUp(ctx, w.reference, 1)
	return found && digest == hashOfBytes(w.data), err
}

func (w *manifestWrite) hasSubject() bool {
	var doc struct {
		Subject *v1.Descriptor `json:"subject"`
	}
	return json.Unmarshal(w.data, &doc) != nil || doc.Subject != nil
}

// landed notes that the repository has just been given something.
func (r *Repository) landed() { r.host.learned.landed.note(r.name, r.host.now()) }
