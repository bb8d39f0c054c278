package bep

import (
	"bytes"
	"slices"
)

// window holds the most recent small sets as they came, oldest first.
type window struct {
	budget int
	size   int
	sets   []rawSet
}

// rawSet is an encoded NamedSetOfFiles. id and payload share one allocation.
type rawSet struct{ id, payload []byte }

// add takes a set in and lets the oldest go.
func (w *window) add(id, payload []byte) {
	if len(payload) > maxWindowSet || w.budget <= 0 {
		return
	}
	both := make([]byte, len(id)+len(payload))
	copy(both, id)
	copy(both[len(id):], payload)
	w.size += cap(both) + rawSetOverhead
	w.sets = append(w.sets, rawSet{id: both[:len(id):len(id)], payload: both[len(id):]})
	drop := 0
	for w.size > w.budget && drop < len(w.sets) {
		w.size -= cap(w.sets[drop].id) + cap(w.sets[drop].payload) + rawSetOverhead
		w.sets[drop] = rawSet{}
		drop++
	}
	w.sets = w.sets[drop:]
}

// rawSetOverhead is what a set costs beside its bytes.
const rawSetOverhead = 64

// find returns the set's encoded bytes. It looks at the latest first, where a set
// that was just announced is.
func (w *window) find(id []byte) ([]byte, bool) {
	for _, set := range slices.Backward(w.sets) {
		if bytes.Equal(set.id, id) {
			return set.payload, true
		}
	}
	return nil, false
}
