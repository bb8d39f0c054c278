package ledger

import (
	"cmp"
	"slices"
)

// Change is how a push differs between two invocations.
type Change string

// The changes.
const (
	// Same: both have the same digest there.
	Same Change = "same"
	// Changed: both have an image there, and it is another one.
	Changed Change = "changed"
	// Added and Removed: only the second, or only the first, has it.
	Added   Change = "added"
	Removed Change = "removed"
)

// Difference is one push in two invocations.
type Difference struct {
	Target     string `json:"target"`
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	Change     Change `json:"change"`
	// Before and After are the digests, Was and Is the outcomes.
	Before string  `json:"before,omitzero"`
	After  string  `json:"after,omitzero"`
	Was    Outcome `json:"was,omitzero"`
	Is     Outcome `json:"is,omitzero"`
}

// Compare sets two invocations' rows against each other, by target and place.
// Where one has several rows for a push the newest counts. The result is in the
// order of targets.
func Compare(before, after []Entry) []Difference {
	type key struct{ target, registry, repository string }
	newest := func(list []Entry) map[key]Entry {
		rows := make(map[key]Entry, len(list))
		for _, e := range list {
			k := key{e.Target, e.Registry, e.Repository}
			if old, there := rows[k]; !there || e.ID > old.ID {
				rows[k] = e
			}
		}
		return rows
	}
	was, is := newest(before), newest(after)
	list := []Difference{}
	for k, b := range was {
		d := Difference{Target: k.target, Registry: k.registry, Repository: k.repository, Before: b.Digest, Was: b.Outcome, Change: Removed}
		if a, there := is[k]; there {
			d.After, d.Is, d.Change = a.Digest, a.Outcome, Changed
			if a.Digest == b.Digest {
				d.Change = Same
			}
		}
		list = append(list, d)
	}
	for k, a := range is {
		if _, there := was[k]; !there {
			list = append(list, Difference{Target: k.target, Registry: k.registry, Repository: k.repository, After: a.Digest, Is: a.Outcome, Change: Added})
		}
	}
	slices.SortFunc(list, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Registry, b.Registry), cmp.Compare(a.Repository, b.Repository))
	})
	return list
}
