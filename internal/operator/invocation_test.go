package operator_test

import (
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
)

func TestAnInvocationIsSettledWhenNothingChangesByItself(t *testing.T) {
	over := operator.InvocationSummary{Finished: true}
	staged := map[ledger.Outcome]int{ledger.Staged: 1}
	release := func(state, class string, blocked bool) *operator.Release {
		return &operator.Release{State: state, Class: class, Blocked: blocked}
	}
	for name, row := range map[string]struct {
		invocation                operator.Invocation
		staged, settled, approval bool
	}{
		"the build goes on":             {operator.Invocation{}, false, false, false},
		"a push is under way":           {operator.Invocation{InvocationSummary: over, Pending: 1}, false, false, false},
		"all is pushed":                 {operator.Invocation{InvocationSummary: over}, true, true, false},
		"the stream broke off":          {operator.Invocation{InvocationSummary: operator.InvocationSummary{BrokenOff: time.Unix(1, 0)}}, true, true, false},
		"the release is about to open":  {operator.Invocation{InvocationSummary: over, Outcomes: staged, Release: release("waiting", "pending", false)}, true, false, false},
		"somebody has to approve":       {operator.Invocation{InvocationSummary: over, Outcomes: staged, Release: release("waiting", "approval", true)}, true, true, true},
		"a failed push blocks the tags": {operator.Invocation{InvocationSummary: over, Outcomes: staged, Release: release("waiting", "failed", true)}, true, true, false},
		"the tags have moved":           {operator.Invocation{InvocationSummary: over, Release: release("open", "", false)}, true, true, false},
		// The release was read just before it was made, or opened.
		"what is staged has no release yet":  {operator.Invocation{InvocationSummary: over, Outcomes: staged}, true, false, false},
		"what is staged has an open release": {operator.Invocation{InvocationSummary: over, Outcomes: staged, Release: release("open", "", false)}, true, false, false},
	} {
		i := row.invocation
		if i.Staged() != row.staged || i.Settled() != row.settled || i.AwaitsApproval() != row.approval {
			t.Errorf("%s: staged %t, settled %t, awaits approval %t", name, i.Staged(), i.Settled(), i.AwaitsApproval())
		}
	}
}
