package dispatch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// holdMetadata is the key of the build metadata with which a build asks to be
// held, or not to be: --build_metadata=DRAYAGE_HOLD=true.
const holdMetadata = "DRAYAGE_HOLD"

// DefaultHoldLimit is how long a build is held at most.
const DefaultHoldLimit = 10 * time.Minute

// Hold says which builds end only when their pushes have.
type Hold struct {
	// Always holds every build that does not say otherwise.
	Always bool
	// Limit is how long a build is held at most. Defaults to DefaultHoldLimit.
	Limit time.Duration
	// PassAtLimit lets a build end well whose pushes are not done within Limit. Without it
	// the build fails.
	PassAtLimit bool
	// Pushes tells when they are done, and how they ended.
	Pushes Pushes
}

// Pushes are what became of an invocation's jobs.
type Pushes interface {
	// Invocation is what is known of the invocation.
	Invocation(ctx context.Context, id string) (store.Invocation, bool, error)
	// Wait returns when the invocation has no job to do, and is not about to get one.
	Wait(ctx context.Context, invocation string) error
	// Release is what is known of the invocation's tags that wait at a gate, or have.
	Release(ctx context.Context, invocation string) (store.Release, bool, error)
	// Pending counts the invocation's jobs to do.
	Pending(ctx context.Context, invocation string) (int, error)
	// Expected is everything that the invocation asked for, or would have.
	Expected(ctx context.Context, invocation string) ([]ledger.Expected, error)
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

// hold makes the wait for a stream's last message last until the pushes are done and their
// tags have moved, or cannot, if the build is to be held. It fails the build if a push
// failed or never came, if tags are kept back, or if that is not known when the limit is
// over, in the one way that Bazel prints without trying again.
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
			if limited.Err() == nil {
				return unavailable(err)
			}
			return s.atLimit(ctx)
		}
		ended, err := s.ends(ctx, invocation)
		if err != nil {
			return unavailable(err)
		}
		if ended.well() {
			return nil
		}
		return failBuild(ended.line(id))
	}
}

// failBuild makes Bazel print a line and fail.
func failBuild(line string) error {
	return &bes.Verdict{Err: status.Error(codes.FailedPrecondition, line)}
}

// atLimit ends the wait of a build that was held for as long as it may be.
func (s *observation) atLimit(ctx context.Context) error {
	s.logger.Warn().Dur("limit", s.holds.Limit).Bool("pass", s.holds.PassAtLimit).Msg("the build is no longer held; its pushes go on")
	if s.holds.PassAtLimit {
		return nil
	}
	pending, err := s.holds.Pushes.Pending(ctx, s.stream.InvocationID)
	if err != nil {
		return unavailable(err)
	}
	return failBuild(fmt.Sprintf("drayage: the build was held for %s, and %s not done; drayage wait %s goes on waiting",
		s.holds.Limit, counted(pending, "push is", "pushes are"), s.stream.InvocationID))
}

// ends is how the pushes of a build have ended.
func (s *observation) ends(ctx context.Context, invocation store.Invocation) (verdict, error) {
	var v verdict
	var err error
	if v.failed, v.withheld, err = s.bad(ctx); err != nil {
		return verdict{}, err
	}
	if v.missing, err = s.missing(ctx, invocation); err != nil {
		return verdict{}, err
	}
	release, gated, err := s.holds.Pushes.Release(ctx, s.stream.InvocationID)
	if err != nil || !gated {
		return v, err
	}
	switch {
	case release.State == store.ReleaseClosed && invocation.ExitCode != exitSuccess:
		v.withheld = nil // as they should be; Bazel has an exit code of its own for the reason
	case release.State == store.ReleaseClosed:
		v.why = release.Reason
	case release.State == store.ReleaseWaiting && release.Gate != string(pushspec.GateApproved):
		// Nothing moves by itself any more. Approval is given after the build.
		v.waits = release.Reason
	}
	return v, nil
}

// bad are the targets whose pushes ended badly: those that failed, and those whose tags
// are withheld.
func (s *observation) bad(ctx context.Context) (failed, withheld []string, err error) {
	for _, outcome := range ledger.Outcomes() {
		if !outcome.Bad() {
			continue
		}
		entries, err := s.holds.Pushes.Entries(ctx, ledger.Query{Invocation: s.stream.InvocationID, Outcome: outcome, Limit: ledger.MaxLimit})
		if err != nil {
			return nil, nil, err
		}
		for _, e := range entries {
			if outcome == ledger.Withheld {
				withheld = append(withheld, e.Target)
			} else {
				failed = append(failed, e.Target)
			}
		}
	}
	return eachOnce(failed), eachOnce(withheld), nil
}

func eachOnce(targets []string) []string {
	slices.Sort(targets)
	return slices.Compact(targets)
}

// missing are the targets whose pushes never came, of a build that says that it went well.
// Of any other build Bazel has said enough.
func (s *observation) missing(ctx context.Context, invocation store.Invocation) ([]string, error) {
	if invocation.ExitCode != exitSuccess {
		return nil, nil
	}
	expected, err := s.holds.Pushes.Expected(ctx, s.stream.InvocationID)
	if err != nil {
		return nil, err
	}
	var targets []string
	for _, e := range expected {
		if e.State.Missing(true) {
			targets = append(targets, e.Target)
		}
	}
	return eachOnce(targets), nil
}

// exitSuccess is Bazel's name of the exit code of a build that went well.
const exitSuccess = "SUCCESS"
