package ledgerlog

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/drayage/drayage/internal/sqldb"
)

// hashes reads the log's hashes: those of this transaction's rows, and those in
// the database.
type hashes struct {
	ctx   context.Context
	conn  sqldb.Conn
	fresh map[int64]tlog.Hash
}

func newHashes(ctx context.Context, conn sqldb.Conn) *hashes {
	return &hashes{ctx: ctx, conn: conn, fresh: map[int64]tlog.Hash{}}
}

// ReadHashes implements [tlog.HashReader].
func (h *hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var wanted []any
	for _, i := range indexes {
		if _, known := h.fresh[i]; !known {
			wanted = append(wanted, i)
		}
	}
	if len(wanted) > 0 {
		err := h.conn.Query(h.ctx, `SELECT idx, hash FROM log_hash WHERE idx IN (`+sqldb.Values(len(wanted), "?")+`)`, wanted,
			func(scan sqldb.Scan) error {
				var i int64
				var hash []byte
				if err := scan(&i, &hash); err != nil {
					return err
				}
				h.fresh[i] = tlog.Hash(hash)
				return nil
			})
		if err != nil {
			return nil, err
		}
	}
	list := make([]tlog.Hash, len(indexes))
	for n, i := range indexes {
		hash, known := h.fresh[i]
		if !known {
			return nil, fmt.Errorf("the log's hash %d is missing: run drayage ledger verify", i)
		}
		list[n] = hash
	}
	return list, nil
}
