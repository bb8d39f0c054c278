package dispatch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// holdMetadata is the key of the build metadata with which a build asks to be
// held, or not to be: --build_metadata=DRAYAGE_HOLD=true.
const holdMetadata = "DRAYAGE_HOLD"

// DefaultHoldLimit is how long a build is held at most.
const DefaultHoldLimit = 10 * time.Minute

// maxNamed bounds the targets that the message of a failed build names.
const maxNamed = 10

// Hold says which builds end only when their pushes have.
type Hold struct {
	// Always holds every build that does not say otherwise.
	Always bool
	// Limit is how long a build is held at most. Defaults to DefaultHoldLimit.
	Limit time.Duration
	// Pushes tells when they are done, and how they ended.
	Pushes Pushes
}

// Pushes are what became of an invocation's jobs.
type Pushes interface {
	// Invocation is what is known of the invocation.
	Invocation(ctx context.Context, id string) (store.Invocation, bool, error)
	// Wait returns when the invocation has no job to do.
	Wait(ctx context.Context, invocation string) error
	// Entries are ledger rows, the newest first.
	Entries(ctx context.Context, query ledger.Query) ([]ledger.Entry, error)
}

// wanted says whether a build with this metadata is held.
func (h Hold) wanted(metadata map[string]string) bool {
	if asked, err := strconv.ParseBool(metadata[holdMetadata]); err == nil {
		return asked
	}
	return h.Always
}

// hold makes the wait for a stream's last message last until the pushes are done,
// if the build is to be held. It fails the build if one of them failed, in the one way that Bazel prints
// without trying again.
func (s *observation) hold(durable func(context.Context) error) func(context.Context) error {
	deadline := time.Now().Add(s.holds.Limit)
	return func(ctx context.Context) error {
		if err := durable(ctx); err != nil {
			return err
		}
		id := s.stream.InvocationID
		// From the store: after a crash the stream does not tell again.
		invocation, _, err := s.holds.Pushes.Invocation(ctx, id)
		if err != nil || !s.holds.wanted(invocation.Metadata) {
			return unavailableIf(err)
		}
		limited, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		if err := s.holds.Pushes.Wait(limited, id); err != nil {
			if ctx.Err() != nil {
				return ctx.Err() // Bazel went away; the wait goes on when it is back
			}
			s.logger.Warn().Err(err).Dur("limit", s.holds.Limit).Msg("the build is no longer held; its pushes go on")
			return nil
		}
		failed, err := s.failed(ctx)
		if err != nil {
			s.logger.Error().Err(err).Msg("cannot read how the pushes of a held build ended")
			return nil
		}
		if len(failed) == 0 {
			return nil
		}
		return &bes.Verdict{Err: status.Error(codes.FailedPrecondition, verdict(id, failed))}
	}
}

// failed are the targets whose pushes ended badly.
func (s *observation) failed(ctx context.Context) ([]string, error) {
	var targets []string
	for _, outcome := range ledger.Outcomes() {
		if !outcome.Bad() {
			continue
		}
		entries, err := s.holds.Pushes.Entries(ctx, ledger.Query{Invocation: s.stream.InvocationID, Outcome: outcome, Limit: ledger.MaxLimit})
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			targets = append(targets, e.Target)
		}
	}
	slices.Sort(targets)
	return slices.Compact(targets), nil
}

// verdict is what Bazel prints: one line of ASCII.
func verdict(invocation string, targets []string) string {
	named, more := targets, ""
	if len(targets) > maxNamed {
		named, more = targets[:maxNamed], fmt.Sprintf(" and %d more", len(targets)-maxNamed)
	}
	pushes := "pushes"
	if len(targets) == 1 {
		pushes = "push"
	}
	return fmt.Sprintf("drayage: %d %s failed: %s%s; see drayage ledger --invocation %s",
		len(targets), pushes, strings.Join(named, ", "), more, invocation)
}
