package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// maxNamed bounds the targets that a reason names.
const maxNamed = 3

// facts are what a release is decided by.
type facts struct {
	invocation Invocation
	missing    named
	pending    int
	bad        named
}

// named counts targets, and names the first.
type named struct {
	n     int
	names []string
}

func (l *named) add(name string) {
	if l.n++; len(l.names) < maxNamed {
		l.names = append(l.names, name)
	}
}

func (l *named) String() string {
	text := strings.Join(l.names, ", ")
	if more := l.n - len(l.names); more > 0 && len(l.names) > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// whole says whether every push that the invocation expected is in its registry, or why
// not: it counts neither tags that are withheld nor those that were rolled back.
func (f *facts) whole() (class, reason string) {
	switch {
	case f.missing.n > 0:
		return classIncomplete, "not all that the build was to push is there: nothing came of " + f.missing.String()
	case f.invocation.Unconfigured > 0:
		return classIncomplete, fmt.Sprintf("not all that the build was to push is there: Bazel could not load %d targets or patterns", f.invocation.Unconfigured)
	case f.pending > 0:
		return classPending, fmt.Sprintf("%d pushes have not ended", f.pending)
	case f.bad.n > 0:
		return classFailed, "not all that the build was to push is there: see " + f.bad.String()
	}
	return "", ""
}

// facts reads what a release is decided by. What does not matter while the build goes on
// is not looked for.
func (s *Store) facts(ctx context.Context, c sqldb.Conn, r Release) (f facts, err error) {
	if f.invocation, _, err = s.readInvocation(ctx, c, r.Invocation, ""); err != nil || !f.invocation.Over() {
		return f, err
	}
	id := []any{r.Invocation}
	err = c.Query(ctx, `SELECT target, state FROM absent WHERE invocation_id = ? ORDER BY target`, id, func(scan sqldb.Scan) error {
		var target string
		var state ledger.ExpectedState
		err := scan(&target, &state)
		if state.Missing(true) {
			f.missing.add(target)
		}
		return err
	})
	if err != nil {
		return f, fmt.Errorf("look for what is missing: %w", err)
	}
	if _, err := sqldb.QueryRow(ctx, c, `SELECT COUNT(*) FROM expected WHERE invocation_id = ? AND job_id IS NOT NULL AND entry_id IS NULL`, id, &f.pending); err != nil {
		return f, fmt.Errorf("count pushes: %w", err)
	}
	if f.pending > 0 {
		return f, nil
	}
	err = c.Query(ctx, `SELECT target, outcome FROM expected x WHERE invocation_id = ? AND `+endedBadly()+` ORDER BY target`, id, func(scan sqldb.Scan) error {
		var target, outcome string
		err := scan(&target, &outcome)
		f.bad.add(target + " (" + outcome + ")")
		return err
	})
	if err != nil {
		return f, fmt.Errorf("look for pushes that ended badly: %w", err)
	}
	return f, nil
}

// verdict is what a release that waits comes to.
type verdict struct {
	state         ReleaseState
	class, reason string
	blocked       bool
}

// verdict decides on a release that waits. Nothing else does, but for people and time.
func (s *Store) verdict(r Release, f facts) verdict {
	wait := func(class, reason string, blocked bool) verdict {
		return verdict{ReleaseWaiting, class, reason, blocked}
	}
	closed := func(class, reason string) verdict { return verdict{ReleaseClosed, class, reason, false} }
	switch built := f.invocation; {
	case !built.Over():
		return wait(classBuilding, "the build has not ended", false)
	case !built.Finished:
		return closed(classBrokenOff, "the event stream of the build broke off")
	case !slices.Contains(s.options.Green, built.ExitCode):
		if built.ExitCode == "" {
			return closed(classRed, "the build ended without an exit code")
		}
		return closed(classRed, "the build ended with "+built.ExitCode)
	}
	switch class, reason := f.whole(); class {
	case "":
	case classIncomplete:
		return closed(class, reason)
	default:
		return wait(class, reason, class == classFailed)
	}
	if r.Gate == gateApproved && r.approved.IsZero() {
		return wait(classApproval, "all is there, and nobody has approved it yet: drayage promote "+r.Invocation, true)
	}
	return verdict{state: ReleaseOpen}
}
