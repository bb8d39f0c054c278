package haul

import (
	"cmp"
	"context"
	"fmt"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

// copyBlob sees to it that the repository has a blob.
func (s *shipment) copyBlob(ctx context.Context, blob pushspec.Blob) error {
	for {
		over, err := s.tryCopy(ctx, blob)
		if over || err != nil {
			return err
		}
	}
}

// tryCopy copies a blob, or waits for another haul that does; then it is not over.
func (s *shipment) tryCopy(ctx context.Context, blob pushspec.Blob) (over bool, err error) {
	key := s.at.anywhere(blob.Digest)
	from := s.knownMount(blob)
	if from != "" || !s.to.Mounts() {
		// Nobody needs to wait for other repositories.
		key.address = s.at
	}
	t := s.hauler.uploads.join(key, s.sender(blob))
	defer t.leave()
	for {
		if s.isThere(blob.Digest) {
			s.count(&s.result.Present, blob)
			return true, nil
		}
		if from == "" && s.knownMount(blob) != "" {
			return false, nil
		}
		if t.tryBegin() {
			break
		}
		if err := t.wait(ctx); err != nil {
			return false, fmt.Errorf("wait for %s: %w", s.what(blob), err)
		}
	}
	// It may have arrived just before.
	if s.isThere(blob.Digest) || from == "" && s.knownMount(blob) != "" {
		t.end(nil)
		return false, nil
	}
	if from == "" {
		from = s.mountable(blob)
	}
	err = s.transfer(ctx, blob, from, t)
	t.end(err)
	return true, err
}

func (s *shipment) sender(blob pushspec.Blob) sender {
	return sender{
		origin:     origin{instance: s.request.Instance, sources: blob.Sources},
		client:     s.request.Client,
		repository: s.to.Name(),
		mayMount:   s.mayMountFrom,
	}
}

// transfer mounts a blob, or uploads it. A source of "" means that the registry
// has to be asked whether it is there.
func (s *shipment) transfer(ctx context.Context, blob pushspec.Blob, from string, t *turn) error {
	subject := s.what(blob)
	if from == "" {
		found, err := s.to.HasBlob(ctx, blob.Digest)
		if err != nil {
			return failure(ctx, subject, err)
		}
		if found {
			s.arrived(blob, &s.result.Present)
			return nil
		}
	}
	upload, err := s.to.Start(ctx, blob.Digest, blob.Size, from)
	if err != nil {
		return failure(ctx, subject, err)
	}
	return s.finish(ctx, blob, from, upload, t)
}

// finish uploads a blob for which a session was begun; without a session the
// registry has mounted it.
func (s *shipment) finish(ctx context.Context, blob pushspec.Blob, from string, upload *registry.Upload, t *turn) error {
	subject := s.what(blob)
	if upload != nil && (from == "" || from == s.to.Name()) {
		// Where several fly at once another may have been faster; and who only asked whether
		// it is there has not asked elsewhere.
		if source := cmp.Or(s.knownMount(blob), s.elsewhere(blob)); source != "" && source != s.to.Name() {
			var err error
			if upload, err = s.to.Start(ctx, blob.Digest, blob.Size, source); err != nil {
				return failure(ctx, subject, err)
			}
			from = source
		}
	}
	if upload == nil {
		if from == s.to.Name() {
			s.arrived(blob, &s.result.Present)
		} else {
			s.arrived(blob, &s.result.Mounted)
		}
		return nil
	}
	source := &content{shipment: s, blob: blob, gone: t.gone}
	defer source.close()
	if err := source.ready(ctx); err != nil {
		return failure(ctx, subject, err)
	}
	t.flowing()
	sent, err := upload.Put(ctx, source)
	if err != nil {
		return failure(ctx, subject, source.mismatched(err))
	}
	// What a registry gave was its own to give.
	if source.from == "" && sent >= blob.Size {
		s.hauler.shown.add(s.request.Client, blob.Digest)
	}
	s.arrived(blob, &s.result.Uploaded)
	return nil
}

func (s *shipment) arrived(blob pushspec.Blob, as *Count) {
	s.markThere(blob.Digest)
	s.count(as, blob)
}
