package haul

import (
	"cmp"
	"context"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/drayage/drayage/pushspec"
)

// copyBlobs copies the blobs of the manifests that are lacking. Those of a manifest that
// is there are there too: a registry keeps what its manifests refer to.
func (s *shipment) copyBlobs(ctx context.Context, left gaps) error {
	needed := map[v1.Hash]bool{}
	for _, p := range s.parts {
		if left.write[p.Digest] {
			for _, digest := range p.blobs {
				needed[digest] = true
			}
		}
	}
	var blobs []pushspec.Blob
	for _, blob := range s.request.Spec.Blobs {
		switch {
		case !needed[blob.Digest] || !pushspec.Distributable(blob.MediaType):
		case s.inPlace(blob):
			s.count(&s.result.Present, blob)
		default:
			blobs = append(blobs, blob)
		}
	}
	// What the cache lacks comes first: if it is nowhere else either, nothing
	// needs to be moved. Then the largest, which take longest.
	lacking := s.cached.lacking()
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
	g.SetLimit(s.hauler.opts.BlobsAtOnce)
	for _, blob := range blobs {
		g.Go(func() error {
			if gctx.Err() != nil {
				return context.Cause(gctx)
			}
			return s.copyBlob(gctx, blob)
		})
	}
	if err := g.Wait(); err != nil {
		return failure(ctx, "copy blobs", err)
	}
	return nil
}

// toCopy are the blobs that have to be in the repository before the manifests are.
func (s *shipment) toCopy() []pushspec.Blob {
	return slices.DeleteFunc(slices.Clone(s.request.Spec.Blobs), func(blob pushspec.Blob) bool {
		return s.inPlace(blob) || !pushspec.Distributable(blob.MediaType)
	})
}

// inPlace tells whether the registry takes a blob out of the CAS.
func (s *shipment) inPlace(blob pushspec.Blob) bool {
	return s.request.LayersInPlace && slices.ContainsFunc(blob.Sources, func(s pushspec.Source) bool { return s.CAS != "" })
}

// count counts a blob, once.
func (s *shipment) count(c *Count, blob pushspec.Blob) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counted[blob.Digest] {
		return
	}
	if s.counted == nil {
		s.counted = map[v1.Hash]bool{}
	}
	s.counted[blob.Digest] = true
	c.add(blob.Size)
}

func (s *shipment) role(blob pushspec.Blob) string {
	if blob.MediaType.IsConfig() {
		return "config"
	}
	return "layer"
}
