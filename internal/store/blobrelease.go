package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/drayage/drayage/internal/sqldb"
)

const (
	// releaseLimit bounds how long a haul waits for its claim to be released. What is
	// not done by then is done beside it.
	releaseLimit = 5 * time.Second

	// maxReleases bounds the releases that are tried again. Claims beyond it end with
	// their leases.
	maxReleases = 10_000
)

// blobRelease is the end of a claim of blobs, on its way to the database.
type blobRelease struct {
	registry   string
	digests    []string
	repository string // "" is none
	// end is when the lease has ended by itself.
	end time.Time
}

func (s *Store) newBlobRelease(registry string, digests []string, repository string) blobRelease {
	return blobRelease{registry: registry, digests: digests, repository: repository, end: time.Now().Add(s.options.Lease)}
}

// blobReleases are those that have failed so far.
type blobReleases struct {
	mu   sync.Mutex
	list []blobRelease
}

func (r *blobReleases) add(failed ...blobRelease) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, failed...)
	if excess := len(r.list) - maxReleases; excess > 0 {
		r.list = slices.Delete(r.list, 0, excess)
	}
}

// take empties the list, and leaves out releases whose leases have ended.
func (r *blobReleases) take() []blobRelease {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.list
	r.list = nil
	now := time.Now()
	return slices.DeleteFunc(list, func(r blobRelease) bool { return now.After(r.end) })
}

// ReleaseBlobs ends a claim that was granted. The repository is the one that has
// the blobs now, or "" where they were not uploaded: then they are anybody's again,
// once no other run of this daemon is at them. With an error the release is tried again
// until it is done or the lease has ended.
func (s *Store) ReleaseBlobs(ctx context.Context, attempt Attempt, claim BlobClaim, repository string) error {
	if !s.db.Dialect().Shared || len(claim.Digests) == 0 {
		return nil
	}
	claim = claim.sorted()
	digests := s.blobs.letGo(attempt, claim)
	if repository != "" {
		digests = claim.Digests
	}
	if len(digests) == 0 {
		return nil
	}
	r := s.newBlobRelease(claim.Registry, digests, repository)
	if err := s.releaseBlobs(ctx, r); err != nil {
		s.blobReleases.add(r)
		return fmt.Errorf("release blobs of %s: %w", claim.Registry, err)
	}
	return nil
}

// releaseBlobs writes releases down, in one transaction.
func (s *Store) releaseBlobs(ctx context.Context, list ...blobRelease) error {
	return s.writeLoosely(ctx, releaseLimit, func(ctx context.Context, tx sqldb.Conn) error {
		for _, r := range list {
			if err := s.releaseOne(ctx, tx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) releaseOne(ctx context.Context, tx sqldb.Conn, r blobRelease) error {
	digests := r.digests
	if r.repository == "" {
		digests = s.blobs.free(r.registry, digests) // a run may have come to them since
	}
	if len(digests) == 0 {
		return nil
	}
	where := ` WHERE daemon = ? AND repository = '' AND registry = ? AND digest IN (` + sqldb.Values(len(digests), "?") + `)`
	args := []any{s.name, r.registry}
	for _, digest := range digests {
		args = append(args, digest)
	}
	if err := s.lockBlobs(ctx, tx, where, args); err != nil {
		return err
	}
	if r.repository == "" {
		_, err := tx.Exec(ctx, `DELETE FROM blob_claim`+where, args...)
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE blob_claim SET repository = ?, time = ?`+where, append([]any{r.repository, sqldb.Micros(s.leaseTime())}, args...)...)
	return err
}

// releaseAgain tries the releases that have failed once more.
func (s *Store) releaseAgain(ctx context.Context) {
	list := s.blobReleases.take()
	if len(list) == 0 {
		return
	}
	// In the order in which rows are locked everywhere, as far as one release goes; two
	// that are at odds are told apart by the database, and tried again.
	if err := s.releaseBlobs(ctx, list...); err != nil {
		s.logger.Debug().Err(err).Int("claims", len(list)).Msg("cannot release claims yet; trying again")
		s.blobReleases.add(list...)
	}
}

// dropBlobs ends all claims of daemons that are gone.
func (s *Store) dropBlobs(ctx context.Context, daemons []string) error {
	if len(daemons) == 0 || !s.db.Dialect().Shared {
		return nil
	}
	where := ` WHERE repository = '' AND daemon IN (` + sqldb.Values(len(daemons), "?") + `)`
	var args []any
	for _, daemon := range daemons {
		args = append(args, daemon)
	}
	err := s.writeLoosely(ctx, releaseLimit, func(ctx context.Context, tx sqldb.Conn) error {
		if err := s.lockBlobs(ctx, tx, where, args); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM blob_claim`+where, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("release blobs of daemons that are gone: %w", err)
	}
	return nil
}
