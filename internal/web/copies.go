package web

import (
	"context"
	"errors"
	"net/http"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/copies"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/pushspec"
)

// Copier copies images between repositories.
type Copier interface {
	Copy(ctx context.Context, request copies.Request) (copies.Queued, error)
}

// copy has an image copied.
func (h *handler) copy(w http.ResponseWriter, r *http.Request) {
	var asked operator.Copy
	if !readBody(w, r, &asked) {
		return
	}
	from, err := copies.ParseReference(asked.Source)
	if err != nil {
		problem(w, http.StatusBadRequest, "Invalid body", "source: "+err.Error())
		return
	}
	to, err := copies.Destinations(asked.Destinations, asked.Tags, pushspec.Overwrite(asked.Overwrite))
	if err != nil {
		problem(w, http.StatusBadRequest, "Invalid body", err.Error())
		return
	}
	queued, err := h.Copier.Copy(r.Context(), copies.Request{Client: h.client(r), From: from, Destinations: to, Referrers: !asked.WithoutReferrers})
	switch _, denied := errors.AsType[*admission.DeniedError](err); {
	case denied:
		problem(w, http.StatusForbidden, "The policy denies the copy", err.Error())
	case err != nil:
		problem(w, http.StatusBadGateway, "The image cannot be copied", err.Error())
	default:
		found(w, operator.Copied{InvocationID: queued.Invocation, Digest: queued.Digest.String(), Referrers: queued.Referrers, Copies: queued.Jobs})
	}
}
