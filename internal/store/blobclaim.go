package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/drayage/drayage/internal/sqldb"
)

// blobClaimLife is how long it is remembered where a blob went. What is forgotten
// costs a question to the registry.
const blobClaimLife = day

// blobWait is when to ask again for blobs that another daemon is uploading: it does
// not say how long it will take.
const blobWait = 500 * time.Millisecond

// BlobClaim asks to upload blobs to a registry.
type BlobClaim struct {
	Registry string
	Digests  []string
}

// sorted has each digest once, in one order, or the database sees a deadlock.
func (c BlobClaim) sorted() BlobClaim {
	c.Digests = slices.Compact(slices.Sorted(slices.Values(c.Digests)))
	return c
}

// BlobGrant is the answer to a [BlobClaim]: the blobs may be uploaded until the
// claim is released, but for those that have been.
type BlobGrant struct {
	// Elsewhere are the blobs that have been uploaded, by their digests: the
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
// It is all or nothing, so that two daemons never wait for one another. The error
// is a [*PostponeError] while another daemon is uploading one of the blobs.
func (s *Store) ClaimBlobs(ctx context.Context, attempt Attempt, claim BlobClaim) (BlobGrant, error) {
	if !s.db.Dialect().Shared || len(claim.Digests) == 0 {
		return BlobGrant{}, nil
	}
	claim = claim.sorted()
	s.blobs.hold(attempt, claim)
	var grant BlobGrant
	err := s.writeLoosely(ctx, func(ctx context.Context, tx sqldb.Conn) (err error) {
		grant, err = s.claimBlobs(ctx, tx, claim)
		return err
	})
	switch {
	case err == nil:
		return grant, nil
	case errors.Is(err, errBusy):
		err = &PostponeError{After: blobWait}
	default:
		err = fmt.Errorf("claim blobs of %s: %w", claim.Registry, err)
	}
	s.blobs.letGo(attempt, claim)
	return BlobGrant{}, err
}

// claimBlobs takes every blob that no live daemon is uploading, and finds out
// about the others.
func (s *Store) claimBlobs(ctx context.Context, tx sqldb.Conn, claim BlobClaim) (BlobGrant, error) {
	var args, rest []any
	for _, digest := range claim.Digests {
		args = append(args, claim.Registry, digest, s.name, sqldb.Micros(s.now()))
	}
	granted := map[string]bool{}
	err := tx.Query(ctx, `INSERT INTO blob_claim (registry, digest, daemon, time) VALUES `+sqldb.Values(len(claim.Digests), "(?,?,?,?)")+`
		ON CONFLICT (registry, digest) DO UPDATE SET daemon = excluded.daemon, time = excluded.time
		WHERE blob_claim.repository = '' AND (blob_claim.daemon = excluded.daemon OR NOT `+s.db.Dialect().Alive("blob_claim.daemon")+`)
		RETURNING digest`, args, func(scan sqldb.Scan) error {
		var digest string
		err := scan(&digest)
		granted[digest] = true
		return err
	})
	if err != nil {
		return BlobGrant{}, err
	}
	for _, digest := range claim.Digests {
		if !granted[digest] {
			rest = append(rest, digest)
		}
	}
	if len(rest) == 0 {
		return BlobGrant{}, nil
	}
	grant, busy := BlobGrant{Elsewhere: map[string]string{}}, false
	err = tx.Query(ctx, `SELECT digest, repository FROM blob_claim WHERE registry = ? AND digest IN (`+sqldb.Values(len(rest), "?")+`)`,
		append([]any{claim.Registry}, rest...), func(scan sqldb.Scan) error {
			var digest, repository string
			if err := scan(&digest, &repository); err != nil {
				return err
			}
			busy = busy || repository == ""
			grant.Elsewhere[digest] = repository
			return nil
		})
	if err == nil && busy {
		err = errBusy
	}
	return grant, err
}

// ReleaseBlobs ends a claim that was granted. The repository is the one that has
// the blobs now, or "" where they were not uploaded: then they are anybody's again,
// once no other job of this daemon is at them.
func (s *Store) ReleaseBlobs(ctx context.Context, attempt Attempt, claim BlobClaim, repository string) error {
	if !s.db.Dialect().Shared || len(claim.Digests) == 0 {
		return nil
	}
	claim = claim.sorted()
	free := s.blobs.letGo(attempt, claim)
	statement, args, digests := `UPDATE blob_claim SET repository = ?, time = ?`, []any{repository, sqldb.Micros(s.now())}, claim.Digests
	if repository == "" {
		statement, args, digests = `DELETE FROM blob_claim`, nil, free
	}
	if len(digests) == 0 {
		return nil
	}
	args = append(args, s.name, claim.Registry)
	for _, digest := range digests {
		args = append(args, digest)
	}
	err := s.writeLoosely(ctx, func(ctx context.Context, tx sqldb.Conn) error {
		_, err := tx.Exec(ctx, statement+` WHERE daemon = ? AND repository = '' AND registry = ? AND digest IN (`+sqldb.Values(len(digests), "?")+`)`, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("release blobs of %s: %w", claim.Registry, err)
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
