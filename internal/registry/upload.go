package registry

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// worthALookup is the size in bytes from which on a blob is looked up where a mount
// would have told whether it is there.
const worthALookup = 1 << 20

// Upload is an upload session of one blob.
type Upload struct {
	repository *Repository
	digest     v1.Hash
	size       int64
	location   *url.URL
	// from is the repository that a mount was asked from.
	from string
	// minChunk is the least that the registry takes in a chunk, but for the last
	// (distribution spec, "OCI-Chunk-Min-Length").
	minChunk int64
	// reached is the offset up to which the session was sent bytes, and finished tells
	// whether it has become the blob.
	reached  int64
	finished bool
}

// Start begins the upload of a blob. With a repository to mount from, the
// registry may find that there is nothing to upload: the upload is nil then. A
// mount from the repository itself asks whether the blob is there already. A mount
// that is refused, in whatever way, is done without.
func (r *Repository) Start(ctx context.Context, digest v1.Hash, size int64, from string) (*Upload, error) {
	u := &Upload{repository: r, digest: digest, size: size, from: from}
	there, err := u.begin(ctx)
	if err != nil || there {
		return nil, err
	}
	return u, nil
}

// begin begins a session, unless the blob is there already, or is now.
func (u *Upload) begin(ctx context.Context) (there bool, err error) {
	if u.from == "" {
		return false, u.open(ctx)
	}
	outcome, err := u.mount(ctx)
	if err != nil || outcome == mounted || outcome == begun {
		return outcome == mounted, err
	}
	if u.size >= worthALookup {
		if there, err := u.repository.HasBlob(ctx, u.digest); err == nil && there {
			return true, nil
		}
	}
	if err := u.open(ctx); err != nil {
		return false, err
	}
	if outcome == refused {
		u.repository.mountRefused(u.from)
	}
	return false, nil
}

// open begins a session.
func (u *Upload) open(ctx context.Context) error {
	r := u.repository
	op := "begin upload to " + r.name
	a, err := r.host.request(ctx, r.caller, call{
		op:     op,
		method: http.MethodPost,
		url:    r.uploadsURL(),
		open:   noBody,
		scopes: pushScopes(r.name),
		ok:     []int{http.StatusAccepted, http.StatusCreated, http.StatusOK, http.StatusNoContent},
	})
	if err != nil {
		return err
	}
	return u.moveTo(op, a)
}

// noBody makes a request say that it is empty: some registries insist.
func noBody(context.Context) (io.ReadCloser, error) { return http.NoBody, nil }

// moveTo takes the session's next address from an answer. It has to be on the
// registry itself: an image is not sent to wherever an answer points.
func (u *Upload) moveTo(op string, a *answer) error {
	location, err := u.repository.host.location(op, a)
	if err != nil {
		return err
	}
	u.location = location
	if least, err := strconv.ParseInt(a.header.Get("OCI-Chunk-Min-Length"), 10, 64); err == nil && least > 0 {
		u.minChunk = least
	}
	return nil
}
