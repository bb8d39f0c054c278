package store

import (
	"context"
	"fmt"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/ledgerlog"
)

// VerifyOptions say what a ledger is verified against.
type VerifyOptions = ledgerlog.VerifyOptions

// Report is what a verification found.
type Report = ledgerlog.Report

// LogKey is the verifier key of the key that signs checkpoints now.
func (s *Store) LogKey() string { return s.log.Key() }

// Checkpoint is [ledgerlog.Log.Checkpoint].
func (s *Store) Checkpoint(ctx context.Context) ([]byte, error) { return s.log.Checkpoint(ctx) }

// Seal is [ledgerlog.Log.Seal].
func (s *Store) Seal(ctx context.Context) (rows int, err error) { return s.log.Seal(ctx) }

// Verify is [ledgerlog.Log.Verify].
func (s *Store) Verify(ctx context.Context, options VerifyOptions) (Report, error) {
	return s.log.Verify(ctx, options)
}

// Prove is [ledgerlog.Log.Prove]. The digest may be given by its beginning, as to
// [Store.Entries].
func (s *Store) Prove(ctx context.Context, digest string) ([]ledger.Proof, error) {
	whole, err := s.wholeDigest(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("prove %s: %w", digest, err)
	}
	return s.log.Prove(ctx, whole)
}
