package haul

import (
	"cmp"
	"context"
	"slices"

	"github.com/drayage/drayage/pushspec"
)

// probe asks for the smallest blob, in the hope of an answer for the whole
// image. It says nothing (asked is false) where that would cost a request.
func (s *shipment) probe(ctx context.Context) (there, asked bool, err error) {
	if len(s.blobs) == 0 || !s.to.MountsItself(true) {
		return false, false, nil
	}
	blob := slices.MinFunc(s.blobs, func(a, b pushspec.Blob) int { return cmp.Compare(a.Size, b.Size) })
	if s.isThere(blob.Digest) {
		return true, true, nil
	}
	t := s.hauler.uploads.join(s.at.anywhere(blob.Digest), s.sender(blob))
	defer t.leave()
	if !t.tryBegin() {
		// It is on its way: so the image was not there a moment ago.
		return false, true, nil
	}
	upload, err := s.to.Start(ctx, blob.Digest, blob.Size, s.to.Name())
	if err != nil {
		err = failure(ctx, s.what(blob), err)
		t.end(err)
		return false, true, err
	}
	there = upload == nil
	err = s.finish(ctx, blob, s.to.Name(), upload, t)
	t.end(err)
	return there, true, err
}
