package dispatch_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/dispatch"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// world is everything around a worker.
type world struct {
	spec    []byte
	specErr error
	// decodes are marked in it, if it is set.
	decodes *marks
	// read is how often the spec was.
	read       int
	result     haul.Result
	haulErr    error
	request    haul.Request
	invocation store.Invocation
	// later is what is known of the invocation from the second question on.
	later *store.Invocation
	asked int
	// change makes the job another one.
	change func(*store.Job)
	now    time.Time
	// newer are tags that a newer build has written.
	newer    []store.SupersededTag
	claimErr error
	// conflicts are tags that another target of the build wants, claim what was claimed.
	conflicts []store.ConflictingTag
	claim     store.TagClaim
	// busy is how often another daemon is at the blobs, elsewhere where they went.
	busy      int
	elsewhere map[string]string
	claimed   store.BlobClaim
	released  *string
	// blobs is the haul's claim of its blobs.
	blobs   haul.Claim
	created time.Time // the job
	// push is what the policy was asked, denied what it says.
	push   admission.Push
	denied error
	// stranger is a client that may push nothing.
	stranger bool
	admit    func(admission.Push) error
	mounts   *admission.Admission // says what may be mounted
	terms    admission.Terms
	gate     pushspec.Gate // the daemon's

	// known is whether the repository has had the image, row the row that the job is done
	// to, release what was decided, and kept the manifest that was kept.
	known   bool
	row     *ledger.Entry
	release *store.Release
	kept    store.StagedManifest
	// retag and restore are what was asked for, and retagErr, restored and restoreErr how
	// it went.
	retag      *haul.Retag
	retagErr   error
	restore    *haul.Restore
	restored   haul.Restored
	restoreErr error
	// previous is what the store knows that tags pointed to.
	previous map[string]string
	// failures are those of the attempts before.
	failures []string
}

func (w *world) ClaimBlobs(_ context.Context, _ store.Attempt, claim store.BlobClaim) (store.BlobGrant, error) {
	w.claimed = claim
	if w.busy > 0 {
		w.busy--
		return store.BlobGrant{}, &store.PostponeError{}
	}
	return store.BlobGrant{Elsewhere: w.elsewhere}, nil
}

func (w *world) ReleaseBlobs(_ context.Context, _ store.Attempt, _ store.BlobClaim, repository string) error {
	w.released = &repository
	return nil
}

func (w *world) ReadAll(context.Context, cas.Blob) ([]byte, error) {
	w.read++
	return w.spec, w.specErr
}

func (w *world) MayPush(string) bool { return !w.stranger }

func (w *world) Admit(push admission.Push) (admission.Terms, error) {
	if w.admit != nil {
		return w.terms, w.admit(push)
	}
	w.push = push
	return w.terms, w.denied
}

func (w *world) MayMount(push admission.Push, repository string) bool {
	return w.mounts.MayMount(push, repository)
}

// asked are tags as a haul asks for them.
func asked(names []string) []haul.Tag {
	var tags []haul.Tag
	for _, name := range names {
		tags = append(tags, haul.Tag{Name: name})
	}
	return tags
}

func (w *world) LastProgress(string) time.Time { return time.Time{} }

func (w *world) Haul(ctx context.Context, request haul.Request) (haul.Result, error) {
	w.request = request
	var err error
	if w.blobs, err = request.Claims.ClaimBlobs(ctx, request.Spec.Blobs[1:]); err != nil {
		return haul.Result{}, err
	}
	if w.blobs.Release != nil {
		defer func() { w.blobs.Release(w.haulErr == nil) }()
	}
	if w.haulErr == nil && !request.Stage {
		if _, err := request.Claims.ClaimTags(ctx, asked(request.Tags)); err != nil {
			return haul.Result{}, err
		}
	}
	return w.result, w.haulErr
}

func (w *world) Retag(ctx context.Context, retag haul.Retag) (haul.Result, error) {
	w.retag = &retag
	if w.retagErr == nil {
		claim, err := retag.Claims.ClaimTags(ctx, w.result.Tags)
		if err != nil {
			return haul.Result{}, err
		}
		for i, tag := range w.result.Tags {
			if previous, known := claim.Previous[tag.Name]; known {
				w.result.Tags[i].Previous = previous
			}
		}
	}
	return w.result, w.retagErr
}

func (w *world) Restore(ctx context.Context, restore haul.Restore) (haul.Restored, error) {
	w.restore = &restore
	if _, err := restore.Claims.ClaimTags(ctx, restore.Tags); err != nil {
		return haul.Restored{}, err
	}
	return w.restored, w.restoreErr
}

func (w *world) Release(context.Context, string) (store.Release, bool, error) {
	if w.release == nil {
		return store.Release{}, false, nil
	}
	return *w.release, true, nil
}

func (w *world) Entry(_ context.Context, id int64) (ledger.Entry, bool, error) {
	if w.row == nil || w.row.ID != id {
		return ledger.Entry{}, false, nil
	}
	return *w.row, true, nil
}

func (w *world) Entries(_ context.Context, query ledger.Query) ([]ledger.Entry, error) {
	if w.row == nil || w.row.Target != query.Target {
		return nil, nil
	}
	return []ledger.Entry{*w.row}, nil
}

func (w *world) HasImage(context.Context, string, string, string) (bool, error) { return w.known, nil }

func (w *world) KeptManifest(context.Context, string) (store.StagedManifest, bool, error) {
	return w.kept, w.kept.Data != nil, nil
}

func (w *world) ClaimTags(_ context.Context, _ store.Attempt, claim store.TagClaim) (store.TagGrant, error) {
	w.claim = claim
	grant := store.TagGrant{Superseded: w.newer, Conflicts: w.conflicts, Previous: w.previous}
	for _, tag := range claim.Tags {
		if !slices.ContainsFunc(w.newer, func(s store.SupersededTag) bool { return s.Name == tag }) {
			grant.Tags = append(grant.Tags, tag)
		}
	}
	return grant, w.claimErr
}

func (w *world) Invocation(context.Context, string) (store.Invocation, bool, error) {
	if w.asked++; w.asked > 1 && w.later != nil {
		return *w.later, true, nil
	}
	return w.invocation, true, nil
}

func (w *world) work(t *testing.T, attempt int) (ledger.Entry, error) {
	t.Helper()
	var decodes dispatch.Decodes
	if w.decodes != nil {
		decodes = w.decodes
	}
	worker := dispatch.NewWorker(dispatch.WorkerOptions{
		Decodes: decodes,
		Specs:   w, Hauler: w, Invocations: w, Releases: w, Tags: w, Blobs: w, Policy: w, Gate: w.gate, Cache: "grpc://cache:9092", Version: "v1", Now: func() time.Time { return w.now }, Logger: zerolog.Nop(),
	})
	job := store.Job{
		Invocation: "invocation", Build: "build", Target: "//app:push", Client: "ci",
		Spec: store.SpecRef{Instance: "main", Function: "sha256", Hash: digest, Size: int64(len(w.spec))},
	}
	if w.change != nil {
		w.change(&job)
	}
	return worker.Work(t.Context(), job, store.Attempt{Number: attempt, Max: 10, Created: w.created, Classes: w.failures})
}

func describe(mediaType types.MediaType, text string) v1.Descriptor {
	return v1.Descriptor{
		MediaType: mediaType, Size: int64(len(text)), Data: []byte(text),
		Digest: v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sha256.Sum256([]byte(text)))},
	}
}

// spec is a push spec under the tags given, and the digest of its root.
func spec(t *testing.T, tags ...string) ([]byte, string) {
	t.Helper()
	config := describe(types.OCIConfigJSON, "{}")
	manifest := describe(types.OCIManifestSchema1, fmt.Sprintf(
		`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"size":2,"digest":%q},"layers":[]}`,
		types.OCIManifestSchema1, types.OCIConfigJSON, config.Digest))
	data, err := (&pushspec.Spec{
		SchemaVersion: 1, MediaType: pushspec.MediaType, Target: "@@//app:push",
		Destination: pushspec.Destination{Registry: "ghcr.io", Repository: "acme/app", Tags: tags},
		Root:        manifest.Digest,
		Manifests:   []v1.Descriptor{manifest},
		Blobs:       []pushspec.Blob{{Descriptor: config}},
	}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data, manifest.Digest.String()
}

func newWorld(t *testing.T, tags ...string) (*world, string) {
	t.Helper()
	w := &world{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	var root string
	w.spec, root = spec(t, tags...)
	w.invocation = store.Invocation{
		ID: "invocation", Command: "build", BazelVersion: "7.7.1", ExitCode: "SUCCESS", Finished: true,
		Started:  w.now,
		Status:   map[string]string{"BUILD_SCM_REVISION": "6a14a96", "BUILD_SCM_STATUS": "Modified"},
		Metadata: map[string]string{"GIT_BRANCH": "main"},
	}
	return w, root
}
