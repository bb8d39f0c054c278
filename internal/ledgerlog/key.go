package ledgerlog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// prepareKey takes the key that was given, or else one that is made once and kept
// in the database. A key in the database tells accidents from what was written;
// somebody who may change the database may sign, too. Against that, give a key,
// and keep checkpoints elsewhere.
func (l *Log) prepareKey(ctx context.Context, tx sqldb.Conn, key string) error {
	if _, err := l.lockState(ctx, tx); err != nil { // another daemon may do the same
		return err
	}
	kept := ""
	if key == "" {
		found, err := sqldb.QueryRow(ctx, tx, `SELECT signer FROM log_key WHERE signer <> '' ORDER BY added LIMIT 1`, nil, &key)
		if err != nil {
			return err
		}
		if !found {
			if key, _, err = note.GenerateKey(rand.Reader, keptName); err != nil {
				return fmt.Errorf("make log key: %w", err)
			}
		}
		kept = key
	}
	signer, err := note.NewSigner(key)
	if err != nil {
		return errors.New("the key must be a signer key of the form PRIVATE+KEY+name+hash+base64: make one with drayage ledger key")
	}
	verifier, err := ledger.VerifierKey(key)
	if err != nil {
		return err
	}
	l.signer, l.verifier = signer, verifier
	_, err = tx.Exec(ctx, `INSERT INTO log_key (verifier, signer, added) VALUES (?, ?, ?) ON CONFLICT (verifier) DO NOTHING`,
		verifier, kept, sqldb.Micros(l.now()))
	return err
}
