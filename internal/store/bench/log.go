package main

import (
	"context"
	"fmt"
	"time"

	"github.com/drayage/drayage/internal/store"
)

// proofs times the log: how fast the whole ledger verifies, and how long one
// proof takes.
func proofs(ctx context.Context, report *report, s *store.Store, size sizes, _ string) error {
	began := time.Now()
	sealed, err := s.Seal(ctx)
	if err != nil {
		return err
	}
	sealing := time.Since(began)
	began = time.Now()
	found, err := s.Verify(ctx, store.VerifyOptions{})
	if err != nil {
		return err
	}
	if len(found.Problems) > 0 {
		return fmt.Errorf("the ledger does not verify: %v", found.Problems[0])
	}
	report.linef(fmt.Sprintf("verify %d rows, %d checkpoints", found.Rows, found.Checkpoints), "%.2f s, %.0f rows/s (seal the last %d: %.0f ms)",
		time.Since(began).Seconds(), float64(found.Rows)/time.Since(began).Seconds(), sealed, ms(sealing))

	times := make([]time.Duration, queryRuns)
	for i := range times {
		began := time.Now()
		if _, err := s.Prove(ctx, fmt.Sprintf("sha256:%064d", i%size.jobs)); err != nil {
			return err
		}
		times[i] = time.Since(began)
	}
	report.linef("prove a digest", "%s", spread(times))
	return nil
}
