package ledgerlog

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// maxMetadata bounds the metadata that one statement reads.
const maxMetadata = 100

// eachMetadata calls visit for what there is of the metadata that the digests name.
func eachMetadata(ctx context.Context, c sqldb.Conn, digests []string, visit func(digest string, body []byte) error) error {
	for piece := range slices.Chunk(digests, maxMetadata) {
		args := make([]any, len(piece))
		for i, digest := range piece {
			args[i] = digest
		}
		err := c.Query(ctx, `SELECT digest, body FROM ledger_metadata WHERE digest IN (`+sqldb.Values(len(args), "?")+`)`, args, func(scan sqldb.Scan) error {
			var digest string
			var body []byte
			if err := scan(&digest, &body); err != nil {
				return err
			}
			return visit(digest, body)
		})
		if err != nil {
			return fmt.Errorf("read metadata of ledger rows: %w", err)
		}
	}
	return nil
}

// AttachMetadata gives rows that were decoded the metadata that is kept beside them.
func AttachMetadata(ctx context.Context, c sqldb.Conn, entries ...*ledger.Entry) error {
	wanted := map[string][]*ledger.Entry{}
	for _, e := range entries {
		if e.MetadataDigest != "" {
			wanted[e.MetadataDigest] = append(wanted[e.MetadataDigest], e)
		}
	}
	return eachMetadata(ctx, c, slices.Sorted(maps.Keys(wanted)), func(digest string, body []byte) error {
		metadata, err := ledger.DecodeMetadata(body)
		for _, e := range wanted[digest] {
			e.Metadata = metadata
		}
		return err
	})
}

// keepMetadata writes what rows have the digests of, each once.
func keepMetadata(ctx context.Context, tx sqldb.Conn, bodies map[string][]byte) error {
	var args []any
	// In one order everywhere, so that two daemons do not wait for one another.
	for _, digest := range slices.Sorted(maps.Keys(bodies)) {
		args = append(args, digest, bodies[digest])
	}
	err := sqldb.ExecMany(ctx, tx, sqldb.Insert{
		SQL: `INSERT INTO ledger_metadata (digest, body) VALUES `, Group: "(?,?)", Args: args, Tail: ` ON CONFLICT (digest) DO NOTHING`,
	})
	if err != nil {
		return fmt.Errorf("insert metadata of ledger rows: %w", err)
	}
	return nil
}

// checkMetadata checks that the metadata which rows name by its digest is there, and is what
// it was.
func (v *verification) checkMetadata(ctx context.Context, rows map[int64]sealedRow) error {
	named := map[string][]int64{}
	for _, index := range slices.Sorted(maps.Keys(rows)) {
		// What cannot be read has been said.
		if e, err := ledger.Decode(rows[index].body); err == nil && e.MetadataDigest != "" {
			named[e.MetadataDigest] = append(named[e.MetadataDigest], index)
		}
	}
	wrong := map[string]string{}
	for digest := range named {
		wrong[digest] = "its metadata, %s, was deleted"
	}
	err := eachMetadata(ctx, v.conn, slices.Sorted(maps.Keys(named)), func(digest string, body []byte) error {
		delete(wrong, digest)
		if ledger.MetadataDigest(body) != digest {
			wrong[digest] = "its metadata, %s, was changed after it was written"
		}
		return nil
	})
	for _, digest := range slices.Sorted(maps.Keys(wrong)) {
		for _, index := range named[digest] {
			v.problemf(rows[index].id, index, wrong[digest], digest)
		}
	}
	return err
}
