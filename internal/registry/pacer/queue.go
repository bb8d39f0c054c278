package pacer

import "slices"

// queue holds those who wait for a slot. Invocations take turns, so
// that a build of a thousand images does not stand before a build of one.
type queue struct {
	// turns are the invocations that wait, the next one first.
	turns   []string
	waiting map[string][]chan struct{}
}

func (q *queue) push(invocation string) chan struct{} {
	if q.waiting == nil {
		q.waiting = map[string][]chan struct{}{}
	}
	turn := make(chan struct{})
	if len(q.waiting[invocation]) == 0 {
		q.turns = append(q.turns, invocation)
	}
	q.waiting[invocation] = append(q.waiting[invocation], turn)
	return turn
}

// pop gives the next one, or nil.
func (q *queue) pop() chan struct{} {
	if len(q.turns) == 0 {
		return nil
	}
	invocation := q.turns[0]
	q.turns = q.turns[1:]
	turn := q.waiting[invocation][0]
	if rest := q.waiting[invocation][1:]; len(rest) > 0 {
		q.waiting[invocation] = rest
		q.turns = append(q.turns, invocation)
	} else {
		delete(q.waiting, invocation)
	}
	return turn
}

// leave takes one out who no longer wants to wait. It tells false of one who is
// not there any more: it has been given the slot.
func (q *queue) leave(invocation string, turn chan struct{}) bool {
	i := slices.Index(q.waiting[invocation], turn)
	if i < 0 {
		return false
	}
	q.waiting[invocation] = slices.Delete(q.waiting[invocation], i, i+1)
	if len(q.waiting[invocation]) == 0 {
		delete(q.waiting, invocation)
		q.turns = slices.DeleteFunc(q.turns, func(t string) bool { return t == invocation })
	}
	return true
}

// length counts those who wait.
func (q *queue) length() int {
	n := 0
	for _, turns := range q.waiting {
		n += len(turns)
	}
	return n
}
