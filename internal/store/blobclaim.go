package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/drayage/drayage/internal/sqldb"
)

// blobClaimLife is how long it is remembered where a blob went. What is forgotten
// costs a question to the registry.
const blobClaimLife = day

// BlobGrant is the answer to a claim on blobs.
type BlobGrant struct {
	// Busy says that another daemon is uploading one of the blobs, so that none was
	// granted: ask again.
	Busy bool
	// Elsewhere are those that have been uploaded, by their digests: the
	// repositories that have them.
	Elsewhere map[string]string
}

// errBusy rolls a claim back.
var errBusy = errors.New("another daemon is uploading one of the blobs")

// ClaimBlobs is asked before blobs are uploaded to a registry, by one of several
// daemons that share a database: each blob is one daemon's to upload. Whoever is
// granted a claim calls [Store.ReleaseBlobs]. Where this daemon is alone all is
// granted.
//
// It is all or nothing, so that two daemons never wait for one another.
func (s *Store) ClaimBlobs(ctx context.Context, registry string, digests []string) (BlobGrant, error) {
	if !s.db.Dialect().Shared || len(digests) == 0 {
		return BlobGrant{}, nil
	}
	digests = slices.Compact(slices.Sorted(slices.Values(digests))) // in one order, or the database sees a deadlock
	s.blobs.hold(registry, digests)
	grant := BlobGrant{Elsewhere: map[string]string{}}
	err := s.writeLoosely(ctx, func(ctx context.Context, tx sqldb.Conn) error {
		return s.claimBlobs(ctx, tx, registry, digests, grant.Elsewhere)
	})
	if err != nil {
		s.blobs.letGo(registry, digests)
		if errors.Is(err, errBusy) {
			return BlobGrant{Busy: true}, nil
		}
		return BlobGrant{}, fmt.Errorf("claim blobs of %s: %w", registry, err)
	}
	return grant, nil
}

func (s *Store) claimBlobs(ctx context.Context, tx sqldb.Conn, registry string, digests []string, elsewhere map[string]string) error {
	var args, rest []any
	for _, digest := range digests {
		args = append(args, registry, digest, s.name, sqldb.Micros(s.now()))
	}
	granted := map[string]bool{}
	err := tx.Query(ctx, `INSERT INTO blob_claim (registry, digest, daemon, time) VALUES `+sqldb.Values(len(digests), "(?,?,?,?)")+`
		ON CONFLICT (registry, digest) DO UPDATE SET daemon = excluded.daemon, time = excluded.time
		WHERE blob_claim.repository = '' AND (blob_claim.daemon = excluded.daemon OR NOT `+s.db.Dialect().Alive("blob_claim.daemon")+`)
		RETURNING digest`, args, func(scan sqldb.Scan) error {
		var digest string
		err := scan(&digest)
		granted[digest] = true
		return err
	})
	if err != nil {
		return err
	}
	for _, digest := range digests {
		if !granted[digest] {
			rest = append(rest, digest)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	busy := false
	err = tx.Query(ctx, `SELECT digest, repository FROM blob_claim WHERE registry = ? AND digest IN (`+sqldb.Values(len(rest), "?")+`)`,
		append([]any{registry}, rest...), func(scan sqldb.Scan) error {
			var digest, repository string
			if err := scan(&digest, &repository); err != nil {
				return err
			}
			if repository == "" {
				busy = true
			}
			elsewhere[digest] = repository
			return nil
		})
	if err == nil && busy {
		return errBusy
	}
	return err
}

// ReleaseBlobs ends a claim. The repository is the one that has the blobs now, or
// "" where they were not uploaded: then they are anybody's again, once no other
// job of this daemon is at them.
func (s *Store) ReleaseBlobs(ctx context.Context, registry, repository string, digests []string) error {
	if !s.db.Dialect().Shared || len(digests) == 0 {
		return nil
	}
	digests = slices.Compact(slices.Sorted(slices.Values(digests)))
	free := s.blobs.letGo(registry, digests)
	statement, args := `UPDATE blob_claim SET repository = ?, time = ?`, []any{repository, sqldb.Micros(s.now())}
	if repository == "" {
		statement, args, digests = `DELETE FROM blob_claim`, nil, free
	}
	if len(digests) == 0 {
		return nil
	}
	args = append(args, s.name, registry)
	for _, digest := range digests {
		args = append(args, digest)
	}
	err := s.writeLoosely(ctx, func(ctx context.Context, tx sqldb.Conn) error {
		_, err := tx.Exec(ctx, statement+` WHERE daemon = ? AND repository = '' AND registry = ? AND digest IN (`+sqldb.Values(len(digests), "?")+`)`, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("release blobs of %s: %w", registry, err)
	}
	return nil
}

// writeLoosely writes what may be lost in a crash of the server, and need not wait
// for its disk.
func (s *Store) writeLoosely(ctx context.Context, fn func(context.Context, sqldb.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, commitLimit)
	defer cancel()
	return s.db.WriteLoosely(ctx, fn)
}

// heldBlobs counts the jobs of this daemon that are at a blob.
type heldBlobs struct {
	mu   sync.Mutex
	jobs map[[2]string]int // by registry and digest
}

func (h *heldBlobs) hold(registry string, digests []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.jobs == nil {
		h.jobs = map[[2]string]int{}
	}
	for _, digest := range digests {
		h.jobs[[2]string{registry, digest}]++
	}
}

// letGo returns the digests that no job is at any more.
func (h *heldBlobs) letGo(registry string, digests []string) (free []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, digest := range digests {
		key := [2]string{registry, digest}
		if h.jobs[key]--; h.jobs[key] <= 0 {
			delete(h.jobs, key)
			free = append(free, digest)
		}
	}
	return free
}
