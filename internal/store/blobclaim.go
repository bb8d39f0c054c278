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
	// Limit is for how long the claim is renewed at most. It counts from when this
	// daemon claimed a blob first, for whichever of its runs.
	Limit time.Duration
	// GetsOn, if set, is asked before each renewal: the claim of a run that does not get
	// on is left to end. It must not wait.
	GetsOn func() bool
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
// is a [*PostponeError] while another daemon has a lease of one of the blobs.
func (s *Store) ClaimBlobs(ctx context.Context, attempt Attempt, claim BlobClaim) (BlobGrant, error) {
	if !s.db.Dialect().Shared || len(claim.Digests) == 0 {
		return BlobGrant{}, nil
	}
	claim = claim.sorted()
	s.blobs.hold(attempt, claim)
	var grant BlobGrant
	err := s.writeLoosely(ctx, commitLimit, func(ctx context.Context, tx sqldb.Conn) (err error) {
		grant, err = s.claimBlobs(ctx, tx, claim)
		return err
	})
	if err == nil {
		return grant, nil
	}
	free := s.blobs.letGo(attempt, claim)
	if errors.Is(err, errBusy) {
		return BlobGrant{}, &PostponeError{After: blobWait}
	}
	// The claim may have been committed all the same.
	s.blobReleases.add(s.newBlobRelease(claim.Registry, free, ""))
	return BlobGrant{}, fmt.Errorf("claim blobs of %s: %w", claim.Registry, err)
}

// claimBlobs takes every blob that no other daemon has a lease of, and finds out
// about the others. A lease that this daemon has already is not made longer: renewals
// do that.
func (s *Store) claimBlobs(ctx context.Context, tx sqldb.Conn, claim BlobClaim) (BlobGrant, error) {
	now := s.leaseTime()
	var args, rest []any
	for _, digest := range claim.Digests {
		args = append(args, claim.Registry, digest, s.name, sqldb.Micros(now), sqldb.Micros(now.Add(s.options.Lease)))
	}
	granted := map[string]bool{}
	err := tx.Query(ctx, `INSERT INTO blob_claim (registry, digest, daemon, time, lease_until) VALUES `+sqldb.Values(len(claim.Digests), "(?,?,?,?,?)")+`
		ON CONFLICT (registry, digest) DO UPDATE SET daemon = excluded.daemon, time = excluded.time,
			lease_until = CASE WHEN blob_claim.lease_until > excluded.time THEN blob_claim.lease_until ELSE excluded.lease_until END
		WHERE blob_claim.repository = '' AND (blob_claim.daemon = excluded.daemon OR blob_claim.lease_until <= excluded.time)
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

// renewBlobs makes the leases of blobs begin anew. What has become another daemon's, or
// was released, stays as it is.
func (s *Store) renewBlobs(ctx context.Context, tx sqldb.Conn, blobs []heldBlob) error {
	until := sqldb.Micros(s.leaseTime().Add(s.options.Lease))
	for piece := range slices.Chunk(blobs, renewSize) {
		var keys []any
		for _, blob := range piece {
			keys = append(keys, blob.registry, blob.digest)
		}
		where := ` WHERE (registry, digest) IN (` + sqldb.Values(len(piece), "(?,?)") + `) AND daemon = ? AND repository = ''`
		keys = append(keys, s.name)
		if err := s.lockBlobs(ctx, tx, where, keys); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE blob_claim SET lease_until = ?`+where, append([]any{until}, keys...)...); err != nil {
			return err
		}
	}
	return nil
}

// lockBlobs locks rows in the order in which they are claimed, or the database sees a
// deadlock.
func (s *Store) lockBlobs(ctx context.Context, tx sqldb.Conn, where string, args []any) error {
	return tx.Query(ctx, `SELECT 1 FROM blob_claim`+where+` ORDER BY registry, digest`+s.db.Dialect().ForUpdate, args,
		func(sqldb.Scan) error { return nil })
}

// writeLoosely writes what may be lost in a crash of the server, and need not wait
// for its disk.
func (s *Store) writeLoosely(ctx context.Context, limit time.Duration, fn func(context.Context, sqldb.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return s.db.WriteLoosely(ctx, fn)
}
