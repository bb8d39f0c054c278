package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
)

// waitResult is one word for what became of the pushes of an invocation.
type waitResult string

// The results that are no outcome that ended badly.
const (
	waitDone       waitResult = "done"
	waitRolledBack waitResult = waitResult(ledger.RolledBack)
	waitIncomplete waitResult = "incomplete"
	waitSuperseded waitResult = waitResult(ledger.Superseded)
	waitTimedOut   waitResult = "timed-out"
	waitUnknown    waitResult = "unknown"
	waitAway       waitResult = "unreachable"
)

// waitResults are all results and their exit codes. Of several results of one wait the
// one that stands highest here counts. Scripts rely on the numbers. 2 is taken: by a wait
// that could not begin.
var waitResults = []struct {
	result waitResult
	code   int
}{
	{waitAway, 10},
	{waitUnknown, 9},
	{waitTimedOut, 8},
	{waitResult(ledger.Failed), 1},
	{waitResult(ledger.Denied), 3},
	{waitResult(ledger.Withheld), 4},
	{waitRolledBack, 4},
	{waitResult(ledger.Cancelled), 5},
	{waitIncomplete, 7},
	{waitSuperseded, 6},
	{waitDone, 0},
}

// exitNotBegun is the exit code of a wait that could not begin.
const exitNotBegun = 2

func (r waitResult) rank() int {
	for rank, row := range waitResults {
		if row.result == r {
			return rank
		}
	}
	return 0
}

func (r waitResult) exitCode() int { return waitResults[r.rank()].code }

// worst is the result that counts.
func worst(results ...waitResult) waitResult {
	return slices.MinFunc(results, func(a, b waitResult) int { return cmp.Compare(a.rank(), b.rank()) })
}

// waited is what a wait knows of one invocation in the end.
type waited struct {
	ID     string     `json:"invocation"`
	Result waitResult `json:"result"`
	// Summary is a sentence for people.
	Summary string `json:"summary"`

	Known *operator.Invocation `json:"state,omitzero"`
	// Missing were expected and will not come.
	Missing []ledger.Expected `json:"missing"`
	// Pushes are the newest rows of each push, the newest first.
	Pushes []ledger.Entry `json:"pushes"`
}

// judge says what became of an invocation that was waited for to the end.
func judge(known operator.Invocation, until string) waitResult {
	results := []waitResult{waitDone}
	for outcome, n := range known.Outcomes {
		switch {
		case n == 0 || outcome.Good():
		case outcome != ledger.Staged:
			results = append(results, waitResult(outcome))
		case until == untilPushed:
			// Its tags wait for a push of the invocation that ended badly.
			results = append(results, waitResult(ledger.Withheld))
		}
	}
	if known.Missing > 0 || known.Unconfigured > 0 || !known.Finished {
		results = append(results, waitIncomplete)
	}
	return worst(results...)
}

// summarize says in a sentence what is known of an invocation.
func summarize(known operator.Invocation) string {
	var parts []string
	for _, outcome := range ledger.Outcomes() {
		if n := known.Outcomes[outcome]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, outcome))
		}
	}
	if known.Pending > 0 {
		parts = append(parts, fmt.Sprintf("%d under way", known.Pending))
	}
	if len(parts) == 0 {
		parts = append(parts, "nothing pushed")
	}
	text := strings.Join(parts, ", ")
	if known.Missing > 0 {
		text += fmt.Sprintf("; %s expected and never came", counted(known.Missing, "push was", "pushes were"))
	}
	if known.Unconfigured > 0 {
		text += fmt.Sprintf("; Bazel gave up before it said what %s, so nobody knows what they push",
			counted(known.Unconfigured, "target or pattern is", "targets and patterns are"))
	}
	switch {
	case known.Finished:
	case known.Over():
		text += "; the build's event stream broke off"
	default:
		text += "; the build has not ended"
	}
	return text + aboutRelease(known.Release)
}

// aboutRelease says what the tags that wait at a gate wait for, and why they do not move.
func aboutRelease(release *operator.Release) string {
	if release == nil {
		return ""
	}
	why := ": " + firstLine(release.Reason)
	if release.Reason == "" {
		why = ""
	}
	switch release.State {
	case operator.ReleaseWaiting:
		if !release.Blocked {
			why = "" // the rest of the summary says it
		}
		return "; the tags wait" + why
	case operator.ReleaseClosed:
		if release.Class == string(ledger.RolledBack) {
			return "; the build was rolled back" + strings.TrimSuffix(why, ": it was rolled back") + by(release.By)
		}
		return "; the tags do not move" + why + by(release.By)
	}
	return by(release.By)
}

// by names who decided.
func by(client string) string {
	if client == "" {
		return ""
	}
	return " (decided by " + client + ")"
}
