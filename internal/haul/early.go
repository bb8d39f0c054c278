package haul

import (
	"context"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/pushspec"
)

// early is a question to the cache that runs beside the first requests to the
// registry: which of the image's blobs does it lack? It renews the others.
type early struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
	missing map[v1.Hash]bool
	// answered says that the cache has told.
	answered bool
}

func (j *job) startEarly(ctx context.Context) *early {
	e := &early{}
	ctx, e.cancel = context.WithCancel(ctx)
	byCAS := map[cas.Digest][]v1.Hash{}
	var ask []cas.Digest
	for _, blob := range j.req.Spec.Blobs {
		if !pushspec.Distributable(blob.MediaType) {
			continue
		}
		for _, source := range blob.Sources {
			if source.CAS == "" {
				continue
			}
			if b, err := j.casBlob(source, blob.Size); err == nil {
				ask = append(ask, b.Digest)
				byCAS[b.Digest] = append(byCAS[b.Digest], blob.Digest)
			}
		}
	}
	if len(ask) == 0 || j.hauler.opts.CAS == nil {
		return e
	}
	e.running.Go(func() {
		missing, err := j.hauler.opts.CAS.FindMissing(ctx, j.req.Instance, ask)
		if err != nil {
			// Reading the blobs tells the same, only later.
			j.hauler.opts.Logger.Debug().Err(err).Msg("remote cache does not tell what it lacks")
			return
		}
		e.answered = true
		e.missing = make(map[v1.Hash]bool, len(missing))
		for _, d := range missing {
			for _, digest := range byCAS[d] {
				e.missing[digest] = true
			}
		}
	})
	return e
}

// lacking are the blobs that the cache did not have.
func (e *early) lacking() map[v1.Hash]bool {
	e.running.Wait()
	return e.missing
}

// has tells whether the cache is sure to have a blob: its own word for one that it knows
// under the same digest. Under another digest it may be another blob.
func (e *early) has(blob pushspec.Blob) bool {
	named := slices.ContainsFunc(blob.Sources, func(s pushspec.Source) bool { return s.CAS == blob.Digest.String() })
	return named && !e.lacking()[blob.Digest] && e.answered
}

// stop ends the question, if it still runs.
func (e *early) stop() {
	e.cancel()
	e.running.Wait()
}
