package admission

import (
	"slices"

	"github.com/drayage/drayage/pushspec"
)

// Terms are under what conditions a push may be.
type Terms struct {
	// KeepTags are those of its tags that must not be written over. Of several rules that
	// allow the push it is the one that keeps the fewest that counts.
	KeepTags []string
	// Gate is what its tags have to wait for at least: the strictest gate of all rules that
	// allow the push.
	Gate pushspec.Gate
	// ReadBack are those of its tags that are looked up after they were written, as one of
	// these rules says.
	ReadBack []string
}

// terms are those of one rule.
func (r Rule) terms(tags []string) Terms {
	terms := Terms{KeepTags: matching(r.NeverOverwrite, tags), ReadBack: matching(r.ReadBack, tags)}
	if len(matching(r.NeedsGreen, tags)) > 0 {
		terms.Gate = pushspec.GateGreen
	}
	if len(matching(r.NeedsApproval, tags)) > 0 {
		terms.Gate = pushspec.GateApproved
	}
	return terms
}

// and are the terms of two rules that allow the same push.
func (t Terms) and(other *Terms) *Terms {
	if other == nil {
		return &t
	}
	if len(other.KeepTags) <= len(t.KeepTags) {
		t.KeepTags = other.KeepTags
	}
	if other.Gate != "" {
		t.Gate = pushspec.Strictest(t.Gate, other.Gate)
	}
	for _, tag := range other.ReadBack {
		if !slices.Contains(t.ReadBack, tag) {
			t.ReadBack = append(t.ReadBack, tag)
		}
	}
	return &t
}

// matching are those of the tags that a pattern matches.
func matching(patterns, tags []string) []string {
	var found []string
	for _, tag := range tags {
		if matchesAny(patterns, tag, matchGlob) {
			found = append(found, tag)
		}
	}
	return found
}
