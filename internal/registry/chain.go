package registry

import (
	"context"
	"net/http"
	"slices"
)

// sender carries a try to the registry and returns its answer.
type sender func(ctx context.Context, t *try) (*http.Response, error)

// step does one part of a try, and has next do the rest.
type step func(ctx context.Context, t *try, next sender) (*http.Response, error)

// chain joins the steps of a request, each in a file of its own (step_*.go). A step sees
// what comes back of all the steps below it. The order matters:
//
//   - A retry begins all over, from the first address and without credentials: retry is
//     above everything that a try remembers.
//   - The first contact lasts until the registry has said how it wants to be authenticated
//     to, and has taken that: the challenge is answered below it. So others that wait for
//     their turn are not refused as well.
//   - Challenges and redirects are counted over a whole try, whichever comes first. What is
//     left after both is accepted, or is an error.
//   - A wait for credentials or a token takes no slot of the pacer: authorize is above pace.
//     A token that was valid before the wait for a slot may not be after it: authorize is
//     below pace as well, where it is quick unless the token has to be replaced.
//   - The slot is given back by pace, once, whatever the steps below it return: when the
//     header of the answer is there, or the try has failed. The body of the answer is read
//     outside the slot.
//   - The watchdog is set when there is a slot, as waiting is not standing still. It lives on
//     in the body of the answer, and ends when that is closed. It opens the body of the
//     request: what cannot be opened is not counted.
func (h *host) chain() sender {
	return join(h.transmit,
		h.retry,
		h.firstContact,
		h.accept,
		h.redirect,
		h.answerChallenge,
		h.observe,
		h.authorize,
		h.pace,
		h.authorize,
		h.watch,
		h.compose,
		h.count,
	)
}

// join puts steps before the last sender.
func join(last sender, steps ...step) sender {
	for _, s := range slices.Backward(steps) {
		next := last
		last = func(ctx context.Context, t *try) (*http.Response, error) { return s(ctx, t, next) }
	}
	return last
}

// do makes a request, and tries again what failed in passing. The answer's status is one
// that the call accepts; its body is the caller's to close.
func (h *host) do(ctx context.Context, by Caller, c call) (*http.Response, error) {
	return h.send(ctx, &try{call: c, by: by})
}
