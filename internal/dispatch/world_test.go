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
	spec       []byte
	specErr    error
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
	admit  func(admission.Push) error
	terms  admission.Terms
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

func (w *world) ReadAll(context.Context, cas.Blob) ([]byte, error) { return w.spec, w.specErr }

func (w *world) Admit(push admission.Push) (admission.Terms, error) {
	if w.admit != nil {
		return w.terms, w.admit(push)
	}
	w.push = push
	return w.terms, w.denied
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
	if w.haulErr == nil {
		if _, err := request.Claims.ClaimTags(ctx, asked(request.Tags)); err != nil {
			return haul.Result{}, err
		}
	}
	return w.result, w.haulErr
}

func (w *world) ClaimTags(_ context.Context, _ store.Attempt, claim store.TagClaim) (store.TagGrant, error) {
	w.claim = claim
	grant := store.TagGrant{Superseded: w.newer, Conflicts: w.conflicts}
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
	worker := dispatch.NewWorker(dispatch.WorkerOptions{
		Specs: w, Hauler: w, Invocations: w, Tags: w, Blobs: w, Policy: w, Cache: "grpc://cache:9092", Version: "v1", Now: func() time.Time { return w.now }, Logger: zerolog.Nop(),
	})
	job := store.Job{
		Invocation: "invocation", Build: "build", Target: "//app:push", Client: "ci",
		Spec: store.SpecRef{Instance: "main", Function: "sha256", Hash: digest, Size: int64(len(w.spec))},
	}
	if w.change != nil {
		w.change(&job)
	}
	return worker.Work(t.Context(), job, store.Attempt{Number: attempt, Max: 10, Created: w.created})
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
