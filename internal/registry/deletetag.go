package registry

import (
	"context"
	"net/http"
)

// DeleteTag removes a tag, and leaves the image. One that is not there is no error. Many
// registries remove no tags: their refusal is an [*Error].
func (r *Repository) DeleteTag(ctx context.Context, tag string) error {
	_, err := r.host.request(ctx, r.caller, call{
		op: "remove tag " + r.name + at(tag), method: http.MethodDelete, url: r.manifestURL(tag), optional: true,
		// "delete" is an action of its own (distribution's token specification).
		scopes: []string{"repository:" + r.name + ":delete,pull,push"},
		ok:     []int{http.StatusAccepted, http.StatusOK, http.StatusNoContent, http.StatusNotFound},
	})
	return err
}
