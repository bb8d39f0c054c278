package registry

import (
	"context"
	"fmt"
	"net/http"
)

// check tells whether what was written is what was sent. An answer that is good, but
// not the one that a manifest gets, is looked behind.
func (w *manifestWrite) check(ctx context.Context, a *answer) error {
	r, want := w.repository, hashOfBytes(w.data)
	if err := r.createdSame(w.op(), a, want); err != nil {
		return err
	}
	if a.status == http.StatusCreated || hashOf(a.header.Get("Docker-Content-Digest")) == want {
		return nil
	}
	if r.host.ask(ctx, a.status == http.StatusAccepted, w.isThere) {
		return nil
	}
	return r.notThere(w.op(), a.status)
}

// isThere asks for what the reference leads to.
func (w *manifestWrite) isThere(ctx context.Context) (bool, error) {
	digest, found, err := w.repository.lookUp(ctx, w.reference, 1)
	return found && digest == hashOfBytes(w.data), err
}

// notThere is a failure that may pass: some registries put things in their place after
// they have answered.
func (r *Repository) notThere(op string, status int) *Error {
	text := fmt.Sprintf("answered %d %s, but does not have what was sent", status, http.StatusText(status))
	return &Error{Op: op, registry: r.Registry(), err: &trouble{text: text}}
}
