package web

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/pushspec"
)

// action is something that may be decided on the page of an invocation: Name is that of
// the verdict, Label is what the button says, and Text is what it does.
type action struct{ Name, Label, Text string }

// actions are what somebody may decide about an invocation as it stands.
func (h *handler) actions(r *http.Request, invocation operator.Invocation) []action {
	client := h.client(r)
	// A browser that has shown no token yet is asked for one when it opens the page of a
	// decision.
	stranger := !h.mayPromote(client) && r.Header.Get("Authorization") == ""
	if !h.mayPromote(client) && !stranger {
		return nil
	}
	var list []action
	add := func(a action) { list = append(list, a) }
	state := ""
	if invocation.Release != nil {
		state = invocation.Release.State
	}
	switch state {
	case operator.ReleaseWaiting:
		if invocation.Release.Gate == string(pushspec.GateApproved) && invocation.Release.By == "" {
			add(action{Name: "promote", Label: "Promote", Text: "The tags move together as soon as every push is in its registry and the build has ended well."})
		}
		add(action{Name: "reject", Label: "Reject", Text: "The tags do not move, and the pushes are withheld. The images stay in their registries, by their digests."})
		return list
	case operator.ReleaseClosed:
		if h.mayOverride(client) || stranger {
			add(action{Name: "promote", Label: "Promote all the same", Text: "The tags move, although the build is withheld. The ledger keeps who decided that."})
		}
		return list
	}
	if invocation.Outcomes[ledger.Pushed]+invocation.Outcomes[ledger.Superseded] > 0 {
		add(action{Name: "rollback", Label: "Roll back", Text: "The tags that this build moved move back to the images that they pointed to before. Tags that are new are removed, where the registry can do that. Tags that somebody has moved since stay."})
	}
	return list
}

// decisionPage asks whether it is meant.
func (h *handler) decisionPage(v verdict) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h.showDecision(w, r, v, nil)
	}
}

// showDecision shows the page of a decision, with why it was refused if it was.
func (h *handler) showDecision(w http.ResponseWriter, r *http.Request, v verdict, refused *refusalError) {
	id := r.PathValue("id")
	invocation, ok := h.pageOf(w, r)
	if !ok {
		return
	}
	query := ledger.Query{Invocation: id, Limit: ledger.MaxLimit}
	page, err := h.page(r.Context(), query)
	if err != nil {
		h.broken(w, r, err)
		return
	}
	data := struct {
		view
		Moves       []move
		Invocation  operator.Invocation
		Action      action
		NeedsReason bool
		Reason      string
		MaxReason   int
		Refusal     *operator.Problem // nil if nothing was refused
		Client      string
	}{
		view: h.view(v.label+" invocation "+id, "/", query, page), Invocation: invocation,
		NeedsReason: v.needsReason, Reason: r.PostFormValue("reason"), MaxReason: operator.MaxReason, Client: h.client(r),
	}
	if v.path == operator.RollbackPath {
		data.Moves = moves(page.Entries)
	}
	status := http.StatusOK
	for _, a := range h.actions(r, invocation) {
		if a.Name == v.name {
			data.Action = a
		}
	}
	switch {
	case refused != nil:
		status, data.Refusal = refused.Status, &refused.Problem
	case data.Action.Name == "":
		toInvocation(w, r)
		return
	}
	h.renderAs(w, r, status, "decision.html", data)
}

// move is a tag that a rollback moves back.
type move struct {
	Image, Tag string
	// From is what the tag points to. To is "" if it is removed.
	From, To string
}

// moves are the tags that the rows of an invocation moved, if nobody has moved them since.
func moves(entries []ledger.Entry) []move {
	var list []move
	for _, e := range ledger.Latest(entries) {
		if e.Outcome != ledger.Pushed && e.Outcome != ledger.Superseded {
			continue
		}
		for _, tag := range e.Tags {
			if tag.Previous != e.Digest {
				list = append(list, move{Image: e.Registry + "/" + e.Repository, Tag: tag.Name, From: e.Digest, To: tag.Previous})
			}
		}
	}
	return list
}

// toInvocation leads to the page of the invocation that a request is about.
func toInvocation(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, pagePrefix+url.PathEscape(r.PathValue("id")), http.StatusSeeOther)
}

// decideByForm carries out what the page of a decision asks for.
func (h *handler) decideByForm(v verdict) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
			http.Error(w, "The body must be a form. Programs use "+v.path+".", http.StatusUnsupportedMediaType)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			status := http.StatusBadRequest
			if _, large := errors.AsType[*http.MaxBytesError](err); large {
				status = http.StatusRequestEntityTooLarge
			}
			http.Error(w, fmt.Sprintf("The form cannot be read: %v", err), status)
			return
		}
		_, err := h.decide(r, v, operator.Decision{Invocation: r.PathValue("id"), Reason: r.PostForm.Get("reason")})
		if refused, ok := errors.AsType[*refusalError](err); ok {
			h.showDecision(w, r, v, refused)
			return
		}
		if err != nil {
			h.broken(w, r, err)
			return
		}
		toInvocation(w, r)
	}
}

// maxForm bounds the body of a form, in bytes: a reason in any encoding.
const maxForm = 16 << 10
