package store

import (
	"context"
	"fmt"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// StagedManifest is the root manifest of an image whose tags wait at a gate.
type StagedManifest struct {
	MediaType string
	Data      []byte
}

// keptManifest is one on its way into the database.
type keptManifest struct {
	digest string
	StagedManifest
}

// Keep has the store keep an image's root manifest, in the transaction that ends the job,
// until its tags have been written. It does nothing on an attempt that is not the store's.
func (a Attempt) Keep(digest, mediaType string, data []byte) {
	if a.kept != nil {
		*a.kept = append(*a.kept, keptManifest{digest, StagedManifest{MediaType: mediaType, Data: data}})
	}
}

// KeptManifest is the root manifest that was kept of a staged image, by its digest; false
// where there is none (any more): the registry has it.
func (s *Store) KeptManifest(ctx context.Context, digest string) (StagedManifest, bool, error) {
	var kept StagedManifest
	found, err := sqldb.QueryRow(ctx, s.db.Read(), `SELECT media_type, data FROM kept_manifest WHERE digest = ?`, []any{digest}, &kept.MediaType, &kept.Data)
	if err != nil {
		return StagedManifest{}, false, fmt.Errorf("read the manifest that was kept of %s: %w", digest, err)
	}
	return kept, found, nil
}

// keepManifests writes down the manifests of staged images, and which pushes need them.
func (s *Store) keepManifests(ctx context.Context, tx sqldb.Conn, batch []*settlement) error {
	var manifests, needs []any
	seen := map[string]bool{}
	for _, b := range batch {
		if b.lost || b.entry == nil || b.entry.Outcome != ledger.Staged {
			continue
		}
		for _, kept := range b.kept {
			if !seen[kept.digest] {
				seen[kept.digest] = true
				manifests = append(manifests, kept.digest, kept.MediaType, kept.Data, sqldb.Micros(s.now()))
			}
			needs = append(needs, b.id.job, kept.digest)
		}
	}
	err := sqldb.ExecMany(ctx, tx,
		sqldb.Insert{
			SQL: `INSERT INTO kept_manifest (digest, media_type, data, time) VALUES `, Group: "(?,?,?,?)", Args: manifests,
			Tail: ` ON CONFLICT (digest) DO UPDATE SET time = excluded.time`,
		},
		sqldb.Insert{
			SQL: `WITH need (job_id, digest) AS (VALUES `, Group: "(CAST(? AS BIGINT), CAST(? AS TEXT))", Args: needs,
			Tail: `) UPDATE expected SET kept = need.digest FROM need WHERE expected.job_id = need.job_id`,
		})
	if err != nil {
		return fmt.Errorf("keep manifests: %w", err)
	}
	return nil
}

// dropKept removes the manifests of images whose tags have been decided on, unless
// another push needs them.
func (s *Store) dropKept(ctx context.Context, tx sqldb.Conn, jobs []any) error {
	if len(jobs) == 0 {
		return nil
	}
	var digests []any
	err := tx.Query(ctx, `SELECT DISTINCT kept FROM expected WHERE kept <> '' AND job_id IN (`+sqldb.Values(len(jobs), "?")+`) ORDER BY kept`, jobs,
		func(scan sqldb.Scan) error {
			var digest string
			err := scan(&digest)
			digests = append(digests, digest)
			return err
		})
	if err == nil && len(digests) > 0 {
		if _, err = tx.Exec(ctx, `UPDATE expected SET kept = '' WHERE job_id IN (`+sqldb.Values(len(jobs), "?")+`)`, jobs...); err == nil {
			_, err = tx.Exec(ctx, `DELETE FROM kept_manifest WHERE digest IN (`+sqldb.Values(len(digests), "?")+`)
				AND NOT EXISTS (SELECT 1 FROM expected x WHERE x.kept <> '' AND x.kept = kept_manifest.digest)`, digests...)
		}
	}
	if err != nil {
		return fmt.Errorf("remove manifests that nobody needs: %w", err)
	}
	return nil
}
