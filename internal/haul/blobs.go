package haul

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

// smallBlob is the size in bytes up to which a POST is the cheapest way to ask
// whether a blob is there. For a larger one a lookup is nothing against the
// bytes that it may save.
const smallBlob = 4 << 20

// copyBlobs copies the blobs of the manifests that are lacking. Those of a manifest that
// is there are there too: a registry keeps what its manifests refer to.
func (j *job) copyBlobs(ctx context.Context, left work) error {
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
			j.count(&j.result.Present, blob)
		default:
			blobs = append(blobs, blob)
		}
	}
	// What the cache lacks comes first: if it is nowhere else either, nothing
	// needs to be moved. Then the largest, which take longest.
	lacking := j.early.lacking()
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
	for {
		over, err := j.tryCopy(ctx, blob)
		if over || err != nil {
			return err
		}
	}
}

// tryCopy copies a blob, or waits for another haul that does; then it is not over.
func (j *job) tryCopy(ctx context.Context, blob pushspec.Blob) (over bool, err error) {
	k, host, name := j.hauler.known, j.to.Registry(), j.to.Name()
	at := place{registry: host, digest: blob.Digest}
	from := j.knownSource(blob)
	if from != "" || !j.to.Mounts() {
		// Nobody needs to wait for other repositories.
		at.repository = name
	}
	t := j.hauler.flights.join(at, j.origin(blob))
	defer t.leave()
	for {
		if k.has(host, name, blob.Digest) {
			j.count(&j.result.Present, blob)
			return true, nil
		}
		if from == "" && j.knownSource(blob) != "" {
			return false, nil
		}
		if t.tryFly() {
			break
		}
		if err := t.wait(ctx); err != nil {
			return false, fmt.Errorf("wait for %s: %w", j.what(blob), err)
		}
	}
	// It may have landed just before.
	if k.has(host, name, blob.Digest) || from == "" && j.knownSource(blob) != "" {
		t.land(nil)
		return false, nil
	}
	if from == "" {
		from = j.mountable(blob)
	}
	err = j.transfer(ctx, blob, from, t)
	t.land(err)
	return true, err
}

// knownSource is a repository of the registry that a blob can be mounted from, or "".
func (j *job) knownSource(blob pushspec.Blob) string {
	from := j.hauler.known.source(j.to.Registry(), blob.Digest)
	if !j.to.Mounts() || from == "" || !j.mayMount(from, blob) {
		return ""
	}
	return from
}

// mayMount tells whether this push may have a blob from a repository that its spec does
// not name: because it has it anyway, or may have what is there.
func (j *job) mayMount(from string, blob pushspec.Blob) bool {
	return j.req.MayMount == nil || from == j.to.Name() || blob.Data != nil || j.early.has(blob) || j.req.MayMount(from)
}

func (j *job) origin(blob pushspec.Blob) origin {
	return origin{instance: j.req.Instance, sources: blob.Sources}
}

// mountable is the repository to ask for a blob first: one that the spec names,
// or the destination itself, which tells whether it is there already.
func (j *job) mountable(blob pushspec.Blob) string {
	if from := j.elsewhere(blob); from != "" {
		return from
	}
	if j.to.MountsItself(blob.Size <= smallBlob) {
		return j.to.Name()
	}
	return ""
}

// elsewhere is another repository of the registry that is said to have a blob, or "".
func (j *job) elsewhere(blob pushspec.Blob) string {
	if !j.to.Mounts() {
		return ""
	}
	for _, source := range blob.Sources {
		if from, ok := j.sameRegistry(source); ok && from != j.to.Name() {
			return from
		}
	}
	if from := j.req.MountFrom[blob.Digest.String()]; from != "" && from != j.to.Name() && j.mayMount(from, blob) {
		return from
	}
	return ""
}

// transfer mounts a blob, or uploads it. A source of "" means that the registry
// has to be asked whether it is there.
func (j *job) transfer(ctx context.Context, blob pushspec.Blob, from string, t *ticket) error {
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
	return j.finish(ctx, blob, from, upload, t)
}

// finish uploads a blob for which a session was begun; without a session the
// registry has mounted it.
func (j *job) finish(ctx context.Context, blob pushspec.Blob, from string, upload *registry.Upload, t *ticket) error {
	subject := j.what(blob)
	if upload != nil && (from == "" || from == j.to.Name()) {
		// Where several fly at once another may have been faster; and who only asked whether
		// it is there has not asked elsewhere.
		if source := cmp.Or(j.knownSource(blob), j.elsewhere(blob)); source != "" && source != j.to.Name() {
			var err error
			if upload, err = j.to.Start(ctx, blob.Digest, blob.Size, source); err != nil {
				return failure(ctx, subject, err)
			}
			from = source
		}
	}
	if upload == nil {
		if from == j.to.Name() {
			j.landed(blob, &j.result.Present)
		} else {
			j.landed(blob, &j.result.Mounted)
		}
		return nil
	}
	source := &content{job: j, blob: blob, gone: t.gone}
	defer source.close()
	if err := source.ready(ctx); err != nil {
		return failure(ctx, subject, err)
	}
	t.takesOff()
	if _, err := upload.Put(ctx, source); err != nil {
		return failure(ctx, subject, source.mismatched(err))
	}
	j.landed(blob, &j.result.Uploaded)
	return nil
}

func (j *job) landed(blob pushspec.Blob, as *Count) {
	j.hauler.known.add(j.to.Registry(), j.to.Name(), blob.Digest)
	j.count(as, blob)
}

// count counts a blob, once.
func (j *job) count(c *Count, blob pushspec.Blob) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.counted[blob.Digest] {
		return
	}
	if j.counted == nil {
		j.counted = map[v1.Hash]bool{}
	}
	j.counted[blob.Digest] = true
	c.add(blob.Size)
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
	t := j.hauler.flights.join(place{host, "", blob.Digest}, j.origin(blob))
	defer t.leave()
	if !t.tryFly() {
		// It is on its way: so the image was not there a moment ago.
		return false, true, nil
	}
	upload, err := j.to.Start(ctx, blob.Digest, blob.Size, name)
	if err != nil {
		err = failure(ctx, j.what(blob), err)
		t.land(err)
		return false, true, err
	}
	there = upload == nil
	err = j.finish(ctx, blob, name, upload, t)
	t.land(err)
	return there, true, err
}
