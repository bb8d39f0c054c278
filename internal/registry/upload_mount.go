package registry

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// failed says nothing about the next mount; refused does.
	failed outcome = iota
	refused
	// begun means that there is a session in the place of a mount.
	begun
	mounted
)

// outcome is what came of the request for a mount.
type outcome int

// mount asks for the blob out of another repository. The error is one that the whole
// upload ends with.
func (u *Upload) mount(ctx context.Context) (outcome, error) {
	r := u.repository
	if !r.mayMount(u.from) {
		return failed, nil
	}
	op := "mount blob into " + r.name
	a, err := r.host.request(ctx, r.caller, call{
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
	if a.status == http.StatusAccepted || isSession(a) {
		// A session that leads nowhere is begun once more, without a mount.
		if u.moveTo(op, a) != nil {
			return failed, nil //nolint:nilerr // a mount that failed is done without
		}
		return begun, nil
	}
	if err := r.createdSame(op, a, u.digest); err != nil {
		return failed, err
	}
	if u.from == r.name {
		r.host.learned.selfMounts.Store(true)
	} else {
		r.host.learned.mounts.grant()
		r.noteWritten()
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
func isSession(a *answer) bool {
	location, err := url.Parse(a.header.Get("Location"))
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
	return !r.host.quirks().noMount && !r.host.learned.mounts.off.holds(r.host.now())
}

// MountsItself tells whether a mount from the repository itself is the way to
// ask whether a blob is there: it is known to work here, or worth a try.
func (r *Repository) MountsItself(try bool) bool {
	quirks := r.host.quirks()
	return !quirks.noMount && !quirks.noSelfMount && r.mayMount(r.name) && (try || r.host.learned.selfMounts.Load())
}
