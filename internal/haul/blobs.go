package haul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

const (
	// smallBlob is the size in bytes up to which a POST is the cheapest way to ask
	// whether a blob is there. For a larger one a lookup is nothing against the
	// bytes that it may save.
	smallBlob = 4 << 20

	// maxFailures is how many failed uploads by others a haul waits for before it
	// takes the failure for its own.
	maxFailures = 2
)

// copyBlobs copies the blobs of the manifests that are lacking. Those of a manifest that
// is there are there too: a registry keeps what its manifests refer to.
func (j *job) copyBlobs(ctx context.Context, early *early, left work) error {
	needed := map[v1.Hash]bool{}
	for _, p := range j.parts {
		if left.write[p.Digest] {
			for _, digest := range p.blobs {
				needed[digest] = true
			}
		}
	}
	var blobs []pushspec.Blob
	for _, blob := range j.req.Spec.Blobs {
		switch {
		case !needed[blob.Digest] || !pushspec.Distributable(blob.MediaType):
		case j.inPlace(blob):
			j.count(&j.result.Present, blob.Size)
		default:
			blobs = append(blobs, blob)
		}
	}
	// What the cache lacks comes first: if it is nowhere else either, nothing
	// needs to be moved. Then the largest, which take longest.
	lacking := early.lacking()
	slices.SortStableFunc(blobs, func(a, b pushspec.Blob) int {
		if lacking[a.Digest] != lacking[b.Digest] {
			if lacking[a.Digest] {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.Size, a.Size)
	})
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(j.hauler.opts.BlobsAtOnce)
	for _, blob := range blobs {
		g.Go(func() error {
			if gctx.Err() != nil {
				return context.Cause(gctx)
			}
			return j.copyBlob(gctx, blob)
		})
	}
	if err := g.Wait(); err != nil {
		return failure(ctx, "copy blobs", err)
	}
	return nil
}

// toCopy are the blobs that have to be in the repository before the manifests are.
func (j *job) toCopy() []pushspec.Blob {
	return slices.DeleteFunc(slices.Clone(j.req.Spec.Blobs), func(blob pushspec.Blob) bool {
		return j.inPlace(blob) || !pushspec.Distributable(blob.MediaType)
	})
}

// inPlace tells whether the registry takes a blob out of the CAS.
func (j *job) inPlace(blob pushspec.Blob) bool {
	return j.req.LayersInPlace && slices.ContainsFunc(blob.Sources, func(s pushspec.Source) bool { return s.CAS != "" })
}

// copyBlob sees to it that the repository has a blob.
func (j *job) copyBlob(ctx context.Context, blob pushspec.Blob) error {
	k, host, name := j.hauler.known, j.to.Registry(), j.to.Name()
	for failures := 0; ; {
		if k.has(host, name, blob.Digest) {
			j.count(&j.result.Present, blob.Size)
			return nil
		}
		// Where a mount can be had nobody needs to wait for the others.
		if from := k.source(host, blob.Digest); from != "" && j.to.Mounts() {
			return j.transfer(ctx, blob, from)
		}
		at := place{registry: host, digest: blob.Digest}
		if !j.to.Mounts() {
			at.repository = name
		}
		other, finish := j.hauler.flights.claim(at)
		if other == nil {
			// It may have landed just before the claim.
			if k.source(host, blob.Digest) != "" && j.to.Mounts() || k.has(host, name, blob.Digest) {
				finish(nil)
				continue
			}
			err := j.transfer(ctx, blob, j.mountable(blob))
			finish(err)
			return err
		}
		if err := other.wait(ctx); err != nil {
			return fmt.Errorf("wait for %s: %w", j.what(blob), err)
		}
		if other.err != nil && !errors.Is(other.err, context.Canceled) {
			if failures++; failures > maxFailures || shared(other.err) {
				return other.err
			}
		}
	}
}

// shared tells whether an upload would fail for everybody.
func shared(err error) bool {
	var failed *Error
	return errors.As(err, &failed) && (failed.Class == Evicted || failed.Class == Malformed)
}

// mountable is the repository to ask for a blob first: one that the spec names,
// or the destination itself, which tells whether it is there already.
func (j *job) mountable(blob pushspec.Blob) string {
	for _, source := range blob.Sources {
		if from, ok := j.sameRegistry(source); ok && j.to.Mounts() {
			return from
		}
	}
	if j.to.MountsItself(blob.Size <= smallBlob) {
		return j.to.Name()
	}
	return ""
}

// transfer mounts a blob, or uploads it. A source of "" means that the registry
// has to be asked whether it is there.
func (j *job) transfer(ctx context.Context, blob pushspec.Blob, from string) error {
	subject := j.what(blob)
	if from == "" {
		found, err := j.to.HasBlob(ctx, blob.Digest)
		if err != nil {
			return failure(ctx, subject, err)
		}
		if found {
			j.landed(blob, &j.result.Present)
			return nil
		}
	}
	upload, err := j.to.Start(ctx, blob.Digest, blob.Size, from)
	if err != nil {
		return failure(ctx, subject, err)
	}
	return j.finish(ctx, blob, from, upload)
}

// finish uploads a blob for which a session was begun; without a session the
// registry has mounted it.
func (j *job) finish(ctx context.Context, blob pushspec.Blob, from string, upload *registry.Upload) error {
	if upload == nil {
		if from == j.to.Name() {
			j.landed(blob, &j.result.Present)
		} else {
			j.landed(blob, &j.result.Mounted)
		}
		return nil
	}
	subject := j.what(blob)
	if _, err := upload.Put(ctx, &content{job: j, blob: blob}); err != nil {
		return failure(ctx, subject, err)
	}
	j.landed(blob, &j.result.Uploaded)
	return nil
}

func (j *job) landed(blob pushspec.Blob, as *Count) {
	j.hauler.known.add(j.to.Registry(), j.to.Name(), blob.Digest)
	j.count(as, blob.Size)
}

func (j *job) count(c *Count, bytes int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	c.add(bytes)
}

func (j *job) role(blob pushspec.Blob) string {
	if blob.MediaType.IsConfig() {
		return "config"
	}
	return "layer"
}

// probe asks for the smallest blob, in the hope of an answer for the whole
// image. It says nothing (asked is false) where that would cost a request.
func (j *job) probe(ctx context.Context) (there, asked bool, err error) {
	blobs := j.toCopy()
	if len(blobs) == 0 || !j.to.MountsItself(true) {
		return false, false, nil
	}
	blob := slices.MinFunc(blobs, func(a, b pushspec.Blob) int { return cmp.Compare(a.Size, b.Size) })
	k, host, name := j.hauler.known, j.to.Registry(), j.to.Name()
	if k.has(host, name, blob.Digest) {
		return true, true, nil
	}
	other, finish := j.hauler.flights.claim(place{host, "", blob.Digest})
	if other != nil {
		// It is on its way: so the image was not there a moment ago.
		return false, true, nil
	}
	upload, err := j.to.Start(ctx, blob.Digest, blob.Size, name)
	if err != nil {
		err = failure(ctx, j.what(blob), err)
		finish(err)
		return false, true, err
	}
	if upload == nil {
		j.landed(blob, &j.result.Present)
		finish(nil)
		return true, true, nil
	}
	err = j.finish(ctx, blob, name, upload)
	finish(err)
	return false, true, err
}
