package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/drayage/drayage/internal/ledger"
)

// sealSize bounds the rows that one transaction seals.
const sealSize = 2000

// Seal puts the rows that are not in the Merkle log yet into it, signs a
// checkpoint over all, and returns how many rows it was. The keeper does so
// about once a second; whoever else does it meanwhile waits or is waited for.
func (s *Store) Seal(ctx context.Context) (rows int, err error) {
	for {
		n := 0
		err := s.db.write(ctx, func(ctx context.Context, tx conn) (err error) {
			n, err = s.seal(ctx, tx)
			return err
		})
		if err != nil {
			return rows, fmt.Errorf("seal ledger: %w", advise(err))
		}
		rows += n
		if n < sealSize {
			return rows, nil
		}
	}
}

func (s *Store) seal(ctx context.Context, tx conn) (int, error) {
	var size int64
	if _, err := queryRow(ctx, tx, `SELECT size FROM log_state WHERE id = 1`+s.db.dialect().forUpdate, nil, &size); err != nil {
		return 0, err
	}
	// What is not sealed yet is written down, and not taken to be what comes after
	// the last one: PostgreSQL gives out numbers before it commits, so that a row
	// can turn up below one that is sealed.
	var ids []int64
	var bodies [][]byte
	err := tx.query(ctx, `SELECT u.entry_id, e.body FROM ledger_unsealed u JOIN ledger_entry e ON e.id = u.entry_id
		ORDER BY u.entry_id LIMIT `+fmt.Sprint(sealSize), nil,
		func(scan func(...any) error) error {
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

	hashes := &hashes{ctx: ctx, conn: tx, fresh: map[int64]tlog.Hash{}}
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
	signed, err := ledger.Checkpoint{Origin: s.signer.Name(), Size: size, Root: root}.Sign(s.signer)
	if err != nil {
		return 0, err
	}
	for _, insert := range []struct {
		sql, group string
		args       []any
		tail       string
	}{
		{`INSERT INTO log_leaf (idx, entry_id) VALUES `, "(?,?)", leaves, ""},
		{`INSERT INTO log_hash (idx, hash) VALUES `, "(?,?)", nodes, ""},
		{`DELETE FROM ledger_unsealed WHERE entry_id IN (`, "?", sealed, ")"},
		{`INSERT INTO log_checkpoint (size, signed, time) VALUES `, "(?,?,?)", []any{size, signed, micros(s.now())}, ""},
		{`UPDATE log_state SET size = `, "?", []any{size}, " WHERE id = 1"},
	} {
		if err := execMany(ctx, tx, insert.sql, insert.group, insert.args, insert.tail); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// hashes reads the log's hashes: those of this transaction's rows, and those in
// the database.
type hashes struct {
	ctx   context.Context
	conn  conn
	fresh map[int64]tlog.Hash
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
		err := h.conn.query(h.ctx, `SELECT idx, hash FROM log_hash WHERE idx IN (`+values(len(wanted), "?")+`)`, wanted,
			func(scan func(...any) error) error {
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
			return nil, fmt.Errorf("the log's hash %d is not there", i)
		}
		list[n] = hash
	}
	return list, nil
}

// prepareKey finds the key that signs checkpoints: the one of the options, or
// one that is made once and kept in the database. A key in the database tells
// accidents from what was written; somebody who may change the database may
// sign, too. Against that, give a key, and keep checkpoints elsewhere.
func (s *Store) prepareKey(ctx context.Context) error {
	key := s.options.LogKey
	return s.db.write(ctx, func(ctx context.Context, tx conn) error {
		// Holds off another daemon that does the same.
		if _, err := queryRow(ctx, tx, `SELECT size FROM log_state WHERE id = 1`+s.db.dialect().forUpdate, nil, new(int64)); err != nil {
			return err
		}
		kept := ""
		if key == "" {
			found, err := queryRow(ctx, tx, `SELECT signer FROM log_key WHERE signer <> '' ORDER BY added LIMIT 1`, nil, &key)
			if err != nil {
				return err
			}
			if !found {
				if key, _, err = note.GenerateKey(rand.Reader, s.options.LogName); err != nil {
					return fmt.Errorf("make log key: %w", err)
				}
			}
			kept = key
		}
		signer, err := note.NewSigner(key)
		if err != nil {
			return errors.New("open store: the log's key is not a signer key of the form PRIVATE+KEY+name+hash+base64: make one with drayage ledger key")
		}
		verifier, err := ledger.VerifierKey(key)
		if err != nil {
			return fmt.Errorf("open store: %w", err)
		}
		s.signer = signer
		s.verifier = verifier
		_, err = tx.exec(ctx, `INSERT INTO log_key (verifier, signer, added) VALUES (?, ?, ?) ON CONFLICT (verifier) DO NOTHING`,
			verifier, kept, micros(s.now()))
		return err
	})
}

// LogKey is the verifier key of the key that signs checkpoints now.
func (s *Store) LogKey() string { return s.verifier }

// Checkpoint is the latest signed checkpoint, for publishing elsewhere; nil
// where nothing is sealed yet.
func (s *Store) Checkpoint(ctx context.Context) ([]byte, error) {
	var signed []byte
	if _, err := queryRow(ctx, s.db.read(), `SELECT signed FROM log_checkpoint ORDER BY size DESC LIMIT 1`, nil, &signed); err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	return signed, nil
}
