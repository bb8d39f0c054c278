package ledgerlog

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// sealSize bounds the rows that one transaction seals.
const sealSize = 2000

// Seal puts the rows that are not in the Merkle log yet into it, signs a
// checkpoint over all, and returns how many rows it was. The keeper does so
// about once a second; two who do it at once wait for one another.
func (l *Log) Seal(ctx context.Context) (rows int, err error) {
	for {
		n := 0
		err := l.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) (err error) {
			n, err = l.seal(ctx, tx)
			return err
		})
		if err != nil {
			return rows, fmt.Errorf("seal ledger: %w", err)
		}
		rows += n
		if n < sealSize {
			return rows, nil
		}
	}
}

func (l *Log) seal(ctx context.Context, tx sqldb.Conn) (int, error) {
	size, err := l.lockState(ctx, tx)
	if err != nil {
		return 0, err
	}
	// What is not sealed yet is written down, and not taken to be what comes after
	// the last one: PostgreSQL gives out numbers before it commits, so that a row
	// can turn up below one that is sealed.
	var ids []int64
	var bodies [][]byte
	err = tx.Query(ctx, `SELECT u.entry_id, e.body FROM ledger_unsealed u JOIN ledger_entry e ON e.id = u.entry_id
		ORDER BY u.entry_id LIMIT `+fmt.Sprint(sealSize), nil,
		func(scan sqldb.Scan) error {
			var id int64
			var body []byte
			if err := scan(&id, &body); err != nil {
				return err
			}
			ids, bodies = append(ids, id), append(bodies, body)
			return nil
		})
	if err != nil || len(ids) == 0 {
		return 0, err
	}

	hashes := newHashes(ctx, tx)
	var leaves, nodes, sealed []any
	for i, body := range bodies {
		n := size + int64(i)
		stored, err := tlog.StoredHashes(n, body, hashes)
		if err != nil {
			return 0, err
		}
		first := tlog.StoredHashIndex(0, n)
		for j, h := range stored {
			hashes.fresh[first+int64(j)] = h
			nodes = append(nodes, first+int64(j), h[:])
		}
		leaves = append(leaves, n, ids[i])
		sealed = append(sealed, ids[i])
	}
	size += int64(len(ids))
	root, err := tlog.TreeHash(size, hashes)
	if err != nil {
		return 0, err
	}
	signed, err := ledger.Checkpoint{Origin: l.signer.Name(), Size: size, Root: root}.Sign(l.signer)
	if err != nil {
		return 0, err
	}
	err = sqldb.ExecMany(ctx, tx,
		sqldb.Insert{SQL: `INSERT INTO log_leaf (idx, entry_id) VALUES `, Group: "(?,?)", Args: leaves},
		sqldb.Insert{SQL: `INSERT INTO log_hash (idx, hash) VALUES `, Group: "(?,?)", Args: nodes},
		sqldb.Insert{SQL: `DELETE FROM ledger_unsealed WHERE entry_id IN (`, Group: "?", Args: sealed, Tail: `)`},
		sqldb.Insert{SQL: `INSERT INTO log_checkpoint (size, signed, time) VALUES `, Group: "(?,?,?)", Args: []any{size, signed, sqldb.Micros(l.now())}},
		sqldb.Insert{SQL: `UPDATE log_state SET size = `, Group: "?", Args: []any{size}, Tail: ` WHERE id = 1`},
	)
	if err != nil {
		return 0, err
	}
	return len(ids), nil
}
