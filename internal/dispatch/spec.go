package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/pushspec"
)

// SpecReader reads a push spec's file from the remote cache.
type SpecReader interface {
	ReadAll(ctx context.Context, blob cas.Blob) ([]byte, error)
}

// readSpec reads and decodes the job's push spec.
func (r *run) readSpec(ctx context.Context) (err error) {
	if err := r.admitClient(); err != nil {
		return err
	}
	data, err := r.specFile(ctx)
	if err != nil {
		return err
	}
	end, err := r.beginDecode(ctx, int64(len(data)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	if r.spec, err = pushspec.Decode(data); err != nil {
		return err
	}
	return checkFunction(r.spec, r.job.Spec.Function)
}

// specFile is the spec's file: it came with the event, or is in the remote cache.
func (r *run) specFile(ctx context.Context) ([]byte, error) {
	ref := r.job.Spec
	switch {
	case ref.Inline != nil:
		return ref.Inline, nil
	case ref.Hash == "":
		return nil, errNoDigest
	case ref.Size > pushspec.MaxSize:
		return nil, &pushspec.Error{Reason: fmt.Sprintf("%d bytes are over the limit of %d", ref.Size, int64(pushspec.MaxSize))}
	}
	if err := r.worker.specs.hold(ref.Size); err != nil {
		return nil, err
	}
	r.held = ref.Size
	data, err := r.worker.opts.Specs.ReadAll(ctx, cas.Blob{
		Instance: ref.Instance,
		Digest:   cas.Digest{Function: cas.Function(ref.Function), Hash: ref.Hash, Size: ref.Size},
	})
	if err != nil {
		return nil, &specError{err: err}
	}
	return data, nil
}

// checkFunction refuses a spec whose layers are named under another digest function
// than the cache has them under, which a cache could only answer with "not found".
func checkFunction(spec *pushspec.Spec, function string) error {
	if function == "" {
		return nil // the spec came with the event
	}
	for i, blob := range spec.Blobs {
		other := ""
		for _, source := range blob.Sources {
			named, _, _ := strings.Cut(source.CAS, ":")
			if source.CAS == "" || named == function {
				other = ""
				break
			}
			other = named
		}
		if other != "" {
			return &pushspec.Error{
				Target: spec.Target, Field: fmt.Sprintf("blobs[%d].sources", i),
				Reason: fmt.Sprintf("names the layer by its %s digest, and the build's cache uses %s: set --@drayage//rules/settings:digest_function=%s in that build", other, function, function),
			}
		}
	}
	return nil
}

// errNoDigest is about a stream whose files have no digest: that of an old Bazel without
// a remote cache.
var errNoDigest = errors.New("the build event gives no digest of the push spec: give the build a --remote_cache")

// specError says that the spec itself could not be read.
type specError struct{ err error }

func (e *specError) Error() string { return "read the push spec: " + e.err.Error() }

func (e *specError) Unwrap() error { return e.err }
