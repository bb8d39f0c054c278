package registry

import (
	"context"
	"fmt"
	"net/http"
	"slices"
)

// written is something that a probe wrote.
type written struct {
	repository *Repository
	// address deletes it.
	address func() string
}

func (p *probe) wrote(repository *Repository, address string) {
	p.written = append(p.written, written{repository, func() string { return address }})
}

// began notes a session. What it is finished as takes its place.
func (p *probe) began(u *Upload) {
	p.written = append(p.written, written{u.repository, func() string {
		if u.finished {
			return u.repository.blobURL(u.digest)
		}
		return u.location.String()
	}})
}

// clean deletes what the probe wrote, the last of it first: manifests before their
// blobs.
func (p *probe) clean(ctx context.Context) {
	if len(p.written) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, cleanLimit)
	defer cancel()
	left := 0
	var refusal error
	for _, w := range slices.Backward(p.written) {
		_, err := w.repository.host.request(ctx, p.repo.caller, call{
			op: "delete what was written", method: http.MethodDelete, url: w.address(), tries: optionalTries, optional: true,
			// "delete" is an action of its own (distribution's token specification).
			scopes: []string{"repository:" + w.repository.name + ":delete,pull,push"},
			ok:     []int{http.StatusAccepted, http.StatusOK, http.StatusNoContent, http.StatusNotFound},
		})
		if err != nil {
			left++
			refusal = err
		}
	}
	detail := fmt.Sprintf("%d of %d things that were written stay in %s and %s: delete them by hand", left, len(p.written), p.repo.name, p.second.name)
	p.note("cleaning up", left == 0, nil, "what was written is deleted again", detail)
	if refusal != nil {
		p.findings[len(p.findings)-1].Detail += "; " + clip(refusal.Error())
	}
}
