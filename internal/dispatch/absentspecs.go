package dispatch

import (
	"github.com/drayage/drayage/bes/bep"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// absent are the push specs that an event should have told of and did not.
func absent(found bep.Found) []store.Absent {
	var list []store.Absent
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

// aborted are the targets that Bazel announced and gave up: had they been built,
// there might have been a push spec.
func aborted(invocation bep.Invocation) []store.Absent {
	var list []store.Absent
	for _, a := range invocation.Aborted {
		if a.Label == "" {
			continue
		}
		list = append(list, store.Absent{
			Target: a.Label, Configuration: a.Configuration, Aspect: a.Aspect,
			State: ledger.ExpectedAborted, Reason: a.Description,
		})
	}
	return list
}
