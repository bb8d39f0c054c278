package registry

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// optionalTries is how often a request is made that a registry can do without.
	optionalTries = 2
	// worthALookup is the size in bytes from which on a blob is looked up where a mount
	// would have told whether it is there.
	worthALookup = 1 << 20
)

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
	resp, err := r.host.do(ctx, r.caller, call{
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
	drain(resp)
	return u.moveTo(op, resp)
}

// outcome is what came of the request for a mount.
type outcome int

const (
	// failed says nothing about the next mount; refused does.
	failed outcome = iota
	refused
	// begun means that there is a session in the place of a mount.
	begun
	mounted
)

// mount asks for the blob out of another repository. The error is one that the whole
// upload ends with.
func (u *Upload) mount(ctx context.Context) (outcome, error) {
	r := u.repository
	if !r.mayMount(u.from) {
		return failed, nil
	}
	op := "mount blob into " + r.name
	resp, err := r.host.do(ctx, r.caller, call{
		op:       op,
		method:   http.MethodPost,
		url:      r.uploadsURL() + "?" + url.Values{"mount": {u.digest.String()}, "from": {u.from}}.Encode(),
		open:     noBody,
		scopes:   pushScopes(r.name, u.from),
		ok:       []int{http.StatusCreated, http.StatusAccepted},
		tries:    optionalTries,
		optional: true,
	})
	if err != nil {
		return u.mountFailed(ctx, err)
	}
	drain(resp)
	if resp.StatusCode == http.StatusAccepted || isSession(resp) {
		// A session that leads nowhere is begun once more, without a mount.
		if u.moveTo(op, resp) != nil {
			return failed, nil
		}
		return begun, nil
	}
	if err := r.createdSame(op, resp, u.digest); err != nil {
		return failed, err
	}
	if u.from == r.name {
		r.host.learned.selfMounts.Store(true)
	} else {
		r.host.learned.mounts.grant()
		r.landed()
	}
	return mounted, nil
}

// mountFailed is what becomes of an upload whose mount failed. It ends where the caller
// does, or where the registry asks for patience.
func (u *Upload) mountFailed(ctx context.Context, err error) (outcome, error) {
	answer := asError(err)
	if ctx.Err() != nil || answer != nil && answer.Throttled() {
		return failed, err
	}
	r := u.repository
	r.host.client.opts.Logger.Debug().Err(err).Str("registry", r.Registry()).Str("repository", r.name).Str("from", u.from).Msg("a mount was refused")
	if answer == nil || answer.Passing() {
		return failed, nil
	}
	return refused, nil
}

// mountRefused notes that a mount was refused where an upload was not.
func (r *Repository) mountRefused(from string) {
	if from == r.name {
		r.host.learned.noSelfMounts.set(r.host.now(), refusalLife)
		return
	}
	r.host.learned.mounts.refuse(from, r.host.now())
}

// isSession tells whether an answer leads to an upload, and not to a blob.
func isSession(resp *http.Response) bool {
	location, err := url.Parse(resp.Header.Get("Location"))
	return err == nil && strings.Contains(location.Path, "/blobs/uploads/") && hashOf(path.Base(location.Path)) == (v1.Hash{})
}

func (r *Repository) mayMount(from string) bool {
	now := r.host.now()
	if from == r.name {
		return !r.host.learned.noSelfMounts.holds(now)
	}
	return r.host.learned.mounts.may(from, now)
}

// Mounts tells whether the registry may grant mounts from other repositories.
func (r *Repository) Mounts() bool {
	return !r.host.quirks().NoMount && !r.host.learned.mounts.off.holds(r.host.now())
}

// MountsItself tells whether a mount from the repository itself is the way to
// ask whether a blob is there: it is known to work here, or worth a try.
func (r *Repository) MountsItself(try bool) bool {
	return !r.host.quirks().NoSelfMount && r.mayMount(r.name) && (try || r.host.learned.selfMounts.Load())
}

func (r *Repository) uploadsURL() string { return r.host.base + "/v2/" + r.name + "/blobs/uploads/" }

// noBody makes a request say that it is empty: some registries insist.
func noBody(context.Context) (io.ReadCloser, error) { return http.NoBody, nil }

// moveTo takes the session's next address from an answer. It has to be on the
// registry itself: an image is not sent to wherever an answer points.
func (u *Upload) moveTo(op string, resp *http.Response) error {
	location, err := u.repository.host.location(op, resp)
	if err != nil {
		return err
	}
	u.location = location
	if least, err := strconv.ParseInt(resp.Header.Get("OCI-Chunk-Min-Length"), 10, 64); err == nil && least > 0 {
		u.minChunk = least
	}
	return nil
}
