package haul

import (
	"context"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/pushspec"
)

// cacheCheck is a question to the cache that runs beside the first requests to the
// registry: which of the image's blobs does it lack? It renews the others.
type cacheCheck struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
	missing map[v1.Hash]bool
}

func (s *shipment) startCacheCheck(ctx context.Context) *cacheCheck {
	c := &cacheCheck{}
	ctx, c.cancel = context.WithCancel(ctx)
	byCAS := map[cas.Digest][]v1.Hash{}
	var ask []cas.Digest
	for _, blob := range s.request.Spec.Blobs {
		if !pushspec.Distributable(blob.MediaType) {
			continue
		}
		for _, source := range blob.Sources {
			if source.CAS == "" {
				continue
			}
			if b, err := s.casBlob(source, blob.Size); err == nil {
				ask = append(ask, b.Digest)
				byCAS[b.Digest] = append(byCAS[b.Digest], blob.Digest)
			}
		}
	}
	if len(ask) == 0 || s.hauler.opts.CAS == nil {
		return c
	}
	c.running.Go(func() {
		missing, err := s.hauler.opts.CAS.FindMissing(ctx, s.request.Instance, ask)
		if err != nil {
			// Reading the blobs tells the same, only later.
			s.hauler.opts.Logger.Debug().Err(err).Msg("remote cache does not tell what it lacks")
			return
		}
		c.missing = make(map[v1.Hash]bool, len(missing))
		for _, d := range missing {
			for _, digest := range byCAS[d] {
				c.missing[digest] = true
			}
		}
	})
	return c
}

// lacking are the blobs that the cache did not have.
func (c *cacheCheck) lacking() map[v1.Hash]bool {
	c.running.Wait()
	return c.missing
}

// stop ends the question, if it still runs.
func (c *cacheCheck) stop() {
	c.cancel()
	c.running.Wait()
}
