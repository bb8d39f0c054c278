package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/store"
)

// verdict is one of the three things that may be decided about a release.
type verdict struct {
	// path is that of the API, name is what the page's address ends with, and label is for
	// people.
	path, name, label string
	decide            func(*handler, context.Context, store.Decision) (pushes int, err error)
	// needsReason says that those whose build it is must be told why.
	needsReason bool
}

var verdicts = []verdict{
	{path: operator.PromotePath, name: "promote", label: "Promote", decide: func(h *handler, ctx context.Context, d store.Decision) (int, error) {
		_, err := h.Source.Promote(ctx, d)
		return 0, err
	}},
	{path: operator.RejectPath, name: "reject", label: "Reject", needsReason: true, decide: func(h *handler, ctx context.Context, d store.Decision) (int, error) {
		_, err := h.Source.Reject(ctx, d)
		return 0, err
	}},
	{path: operator.RollbackPath, name: "rollback", label: "Roll back", decide: func(h *handler, ctx context.Context, d store.Decision) (int, error) {
		return h.Source.Rollback(ctx, d)
	}},
}

// refusalError is of a decision that is not carried out.
type refusalError struct{ operator.Problem }

func (e *refusalError) Error() string { return e.Title + ": " + e.Detail }

func refusal(status int, title, detail string) *refusalError {
	return &refusalError{operator.Problem{Title: title, Status: status, Detail: detail}}
}

// decideByAPI serves one verdict of the API.
func (h *handler) decideByAPI(v verdict) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var asked operator.Decision
		if !readBody(w, r, &asked) {
			return
		}
		decided, err := h.decide(r, v, asked)
		if refused, ok := errors.AsType[*refusalError](err); ok {
			problem(w, refused.Status, refused.Title, refused.Detail)
			return
		}
		if err != nil {
			h.broken(w, r, err)
			return
		}
		found(w, decided)
	}
}

// decide carries out what somebody decides about an invocation's release, and writes down
// who it was. An error that is the client's is a [*refusalError].
func (h *handler) decide(r *http.Request, v verdict, asked operator.Decision) (operator.Decided, error) {
	none := operator.Decided{}
	switch {
	case asked.Invocation == "":
		return none, refusal(http.StatusBadRequest, "No invocation is named", "invocation: must be given")
	case v.needsReason && asked.Reason == "":
		return none, refusal(http.StatusBadRequest, "No reason is given", "reason: must be given; it is shown to those whose build it is")
	case len(asked.Reason) > operator.MaxReason:
		return none, refusal(http.StatusBadRequest, "The reason is too long", fmt.Sprintf("reason: it has %d bytes, but at most %d are allowed", len(asked.Reason), operator.MaxReason))
	}
	client := h.client(r)
	may := h.mayOverride(client)
	before, _, err := h.Source.Release(r.Context(), asked.Invocation)
	if err != nil {
		return none, err
	}
	if v.path == operator.PromotePath && before.State == store.ReleaseClosed && !may {
		return none, refusal(http.StatusForbidden, "The build is withheld",
			fmt.Sprintf("%s; %s is not in the daemon's policy.promote_withheld, which says who may promote it all the same", before.Reason, client))
	}
	pushes, err := v.decide(h, r.Context(), store.Decision{Invocation: asked.Invocation, By: client, Reason: asked.Reason, Override: may})
	if err != nil {
		return none, mistake(err, asked.Invocation)
	}
	h.Logger.Info().Str("client", client).Str("invocation", asked.Invocation).Str("decision", v.name).Str("reason", asked.Reason).
		Str("was", string(before.State)).Int("pushes", pushes).Msg("an operator decided about a release")
	after, _, err := h.Source.Release(r.Context(), asked.Invocation)
	if err != nil {
		return none, err
	}
	return operator.Decided{InvocationID: asked.Invocation, Release: *release(after), Pushes: pushes}, nil
}

// mistake tells the client's mistakes from the daemon's.
func mistake(err error, invocation string) error {
	if errors.Is(err, store.ErrUnknownInvocation) {
		return refusal(http.StatusNotFound, "No such invocation", fmt.Sprintf("the daemon does not know invocation %q, or no longer keeps it; drayage ledger shows those that pushed", invocation))
	}
	if conflict, ok := errors.AsType[*store.DecisionError](err); ok {
		return refusal(http.StatusConflict, "It cannot be done now", conflict.Error()+"; drayage ledger --invocation "+invocation+" shows how its pushes stand")
	}
	return err
}

// mayOverride tells whether a client may promote what is withheld.
func (h *handler) mayOverride(client string) bool {
	return h.Access == nil || h.Access.MayPromoteWithheld(client)
}

// mayPromote tells whether a client may decide about releases.
func (h *handler) mayPromote(client string) bool {
	return h.Access == nil || h.Access.MayPromote(client)
}

func release(of store.Release) *operator.Release {
	return &operator.Release{
		Gate: of.Gate, State: string(of.State), Class: of.Class, Reason: of.Reason, Blocked: of.Blocked, By: of.By, Decided: of.Decided,
	}
}
