package dispatch

import (
	"github.com/drayage/drayage/bes/bep"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// absent is what an event says of push specs that are not there: yet, or for good.
func absent(found bep.Found) []store.Absent {
	var list []store.Absent
	for _, target := range found.Targets {
		list = append(list, store.Absent{
			Target: target.Label, Configuration: target.Configuration,
			State: expectedState(target.State), Reason: target.Reason, IfPushed: target.Unsure,
		})
	}
	for _, spec := range found.Specs {
		if spec.Incomplete {
			list = append(list, store.Absent{
				Target: spec.Label, Configuration: spec.Configuration, Aspect: spec.Aspect,
				State: ledger.ExpectedIncomplete, Reason: "some actions of its push specs failed",
			})
		}
	}
	for _, lost := range found.Lost {
		list = append(list, store.Absent{
			Target: lost.Label, Configuration: lost.Configuration, Aspect: lost.Aspect,
			State: ledger.ExpectedLost, Reason: "the stream told of a push spec in a way that could not be followed",
		})
	}
	return list
}

// expectedState is empty where nothing is missing of the target.
func expectedState(state bep.TargetState) ledger.ExpectedState {
	switch state {
	case bep.TargetAwaited:
		return ledger.ExpectedAwaited
	case bep.TargetFailed:
		return ledger.ExpectedUnbuilt
	case bep.TargetGivenUp:
		return ledger.ExpectedAborted
	case bep.TargetSilent:
		return ledger.ExpectedLost
	case bep.TargetBuilt, bep.TargetSkipped:
	}
	return ""
}
