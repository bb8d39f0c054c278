package dispatch_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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
	claimed   dispatch.BlobClaim
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

func (w *world) ClaimBlobs(_ context.Context, _ store.Attempt, claim dispatch.BlobClaim) (dispatch.BlobGrant, error) {
	w.claimed = claim
	if w.busy > 0 {
		w.busy--
		return dispatch.BlobGrant{}, &store.PostponeError{}
	}
	return dispatch.BlobGrant{Elsewhere: w.elsewhere}, nil
}

func (w *world) ReleaseBlobs(_ context.Context, _ store.Attempt, _ dispatch.BlobClaim, repository string) error {
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
		if _, err := request.Claims.ClaimTags(ctx, request.Tags); err != nil {
			return haul.Result{}, err
		}
	}
	return w.result, w.haulErr
}

func (w *world) ClaimTags(_ context.Context, _ store.Attempt, claim store.TagClaim) (store.TagGrant, error) {
	w.claim = claim
	grant := store.TagGrant{Until: w.now.Add(time.Minute), Superseded: w.newer, Conflicts: w.conflicts}
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

func TestOutcomeSaysWhatHappenedToWhatAndWhy(t *testing.T) {
	w, root := newWorld(t, "latest", "git-{BUILD_SCM_REVISION}")
	w.result = haul.Result{
		Tags:     []haul.Tag{{Name: "latest", Previous: "sha256:old"}, {Name: "git-6a14a96"}},
		Uploaded: haul.Count{Blobs: 1, Bytes: 10}, Mounted: haul.Count{Blobs: 2, Bytes: 20}, Present: haul.Count{Blobs: 3, Bytes: 30},
		Requests: 7,
	}
	got, err := w.work(t, 2)
	if err != nil {
		t.Fatal(err)
	}
	want := ledger.Entry{
		Time: w.now, Outcome: ledger.Pushed,
		Registry: "ghcr.io", Repository: "acme/app", Digest: root,
		Manifests: []ledger.Manifest{{Digest: root, MediaType: string(types.OCIManifestSchema1)}},
		Tags:      []ledger.Tag{{Name: "latest", Previous: "sha256:old"}, {Name: "git-6a14a96"}},
		Uploaded:  ledger.Count{Blobs: 1, Bytes: 10}, Mounted: ledger.Count{Blobs: 2, Bytes: 20}, Present: ledger.Count{Blobs: 3, Bytes: 30},
		Requests: 7, Attempts: 2,
		Target: "//app:push", SpecDigest: "sha256:" + digest,
		BuildID: "build", InvocationID: "invocation", Command: "build", BazelVersion: "7.7.1", ExitCode: "SUCCESS",
		Commit: "6a14a96", Branch: "main", Dirty: true, Metadata: map[string]string{"GIT_BRANCH": "main"},
		Client: "ci", DaemonVersion: "v1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	request := haul.Request{Repository: "acme/app", Tags: []string{"latest", "git-6a14a96"}, Instance: "main", Invocation: "invocation"}
	if diff := cmp.Diff(request, w.request, cmpopts.IgnoreFields(haul.Request{}, "Spec", "Claims", "MayMount", "Waits")); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestImageThatWasThereIsPresent(t *testing.T) {
	w, _ := newWorld(t, "latest")
	w.result = haul.Result{AlreadyThere: true, Tags: []haul.Tag{{Name: "latest"}}}
	if got, err := w.work(t, 1); err != nil || got.Outcome != ledger.Present {
		t.Errorf("outcome is %q, error %v", got.Outcome, err)
	}
}

func TestTagOfANewerBuildIsLeftAloneAndTheRowSaysSo(t *testing.T) {
	w, _ := newWorld(t, "latest", "v1")
	w.newer = []store.SupersededTag{{Name: "latest", Digest: "sha256:new", Invocation: "later"}}
	w.result = haul.Result{Tags: []haul.Tag{{Name: "latest", Previous: "sha256:new"}, {Name: "v1"}}}
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.Outcome != ledger.Superseded || !strings.Contains(got.Error, "tag latest still points to sha256:new, which the newer invocation later has pushed") {
		t.Errorf("entry is %s: %s", got.Outcome, got.Error)
	}
	if diff := cmp.Diff([]ledger.Tag{{Name: "v1"}}, got.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func TestATagThatAnotherTargetOfTheBuildHasIsAFailureThatNamesBoth(t *testing.T) {
	w, root := newWorld(t, "latest", "v1")
	w.conflicts = []store.ConflictingTag{{Name: "latest", Target: "//app:first", Digest: "sha256:other"}}
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := "push //app:push to ghcr.io/acme/app: tag latest: //app:first of the same build wants it for another image, sha256:other; " +
		"it points to that image, and no tag of this target was written. The target whose label sorts first gets the tag: " +
		"give each target a tag or a repository of its own, or build only one of them"
	if got.Outcome != ledger.Failed || got.ErrorClass != "conflict" || got.Error != want {
		t.Errorf("entry is %s, %s:\n%s\nwant\n%s", got.Outcome, got.ErrorClass, got.Error, want)
	}
	claim := store.TagClaim{
		Registry: "ghcr.io", Repository: "acme/app", Tags: []string{"latest", "v1"}, Digest: root, Target: "//app:push", Invocation: "invocation", Started: w.now,
	}
	if diff := cmp.Diff(claim, w.claim); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
}

func TestATagThatIsTakenFromAnotherTargetOfTheBuildIsAFailureToo(t *testing.T) {
	w, root := newWorld(t, "latest")
	w.conflicts = []store.ConflictingTag{{Name: "latest", Target: "//z:last", Digest: "sha256:other", Ours: true}}
	w.result = haul.Result{Tags: []haul.Tag{{Name: "latest", Previous: "sha256:other"}}}
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := "tag latest: //z:last of the same build wants it for another image, sha256:other; it pointed to that image, and points to this target's now, " + root
	if got.Outcome != ledger.Failed || got.ErrorClass != "conflict" || !strings.Contains(got.Error, want) {
		t.Errorf("entry is %s, %s: %s", got.Outcome, got.ErrorClass, got.Error)
	}
	if diff := cmp.Diff([]ledger.Tag{{Name: "latest", Previous: "sha256:other"}}, got.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func TestWorkerThatHasLostItsJobSaysNothing(t *testing.T) {
	w, _ := newWorld(t, "latest")
	for _, claimErr := range []error{store.ErrLost, &store.PostponeError{After: time.Second}} {
		w.claimErr = claimErr
		if _, err := w.work(t, 10); !errors.Is(err, claimErr) {
			t.Errorf("error is %v, want %v", err, claimErr)
		}
	}
}

func TestThePolicyIsAskedOfWhatIsPushed(t *testing.T) {
	w, _ := newWorld(t, "git-{BUILD_SCM_REVISION}")
	if _, err := w.work(t, 1); err != nil {
		t.Fatal(err)
	}
	want := admission.Push{Client: "ci", Target: "//app:push", Repository: "ghcr.io/acme/app", Tags: []string{"git-6a14a96"}}
	if diff := cmp.Diff(want, w.push); diff != "" {
		t.Errorf("the policy was asked (-want +got):\n%s", diff)
	}
}

func TestFinalFailureIsARowAndSaysWhatToDo(t *testing.T) {
	for _, row := range []struct {
		name          string
		change        func(*world)
		outcome       ledger.Outcome
		class, begins string
	}{
		{
			"an evicted layer",
			func(w *world) {
				w.haulErr = &haul.Error{Class: haul.Evicted, Text: "layer sha256:ab (12 MiB) is no longer in the remote cache; rebuild"}
			},
			ledger.Failed, "evicted",
			"push //app:push to ghcr.io/acme/app: layer sha256:ab (12 MiB) is no longer in the remote cache; rebuild",
		},
		{
			"a registry that refuses",
			func(w *world) { w.haulErr = &haul.Error{Class: haul.Denied, Text: "no"} },
			ledger.Denied, "denied", "push //app:push to ghcr.io/acme/app: no",
		},
		{
			"a policy that does not allow it",
			func(w *world) {
				shut, err := admission.New(admission.Policy{Rules: []admission.Rule{}})
				if err != nil {
					panic(err)
				}
				_, w.denied = shut.Admit(admission.Push{Client: "token:ci"})
			},
			ledger.Denied, "policy", "push //app:push to ghcr.io/acme/app: the daemon's policy does not let token:ci push this: there is no rule",
		},
		{
			"a spec that is none",
			func(w *world) { w.spec = []byte("{") },
			ledger.Failed, "malformed", "push //app:push: push spec: not valid JSON",
		},
		{
			"a later version",
			func(w *world) { w.spec = []byte(`{"schemaVersion":9,"mediaType":"x","target":"@@//app:push"}`) },
			ledger.Failed, "malformed", "push //app:push: push spec of @@//app:push has schema version 9",
		},
		{
			"a variable that nobody set",
			func(w *world) { w.spec, _ = spec(t, "{VERSION}") },
			ledger.Failed, "stamp", "push //app:push to ghcr.io/acme/app: fill in the destination: stamp tag: \"{VERSION}\" needs VERSION",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, _ := newWorld(t, "latest")
			row.change(w)
			got, err := w.work(t, 1)
			if err != nil {
				t.Fatal(err)
			}
			if got.Outcome != row.outcome || got.ErrorClass != row.class || !strings.HasPrefix(got.Error, row.begins) {
				t.Errorf("entry is %s, %s, %q", got.Outcome, got.ErrorClass, got.Error)
			}
		})
	}
}

func TestSpecOverTheLimitIsNotRead(t *testing.T) {
	w, _ := newWorld(t)
	w.spec, w.specErr = make([]byte, pushspec.MaxSize+1), errors.New("it was read")
	got, err := w.work(t, 1)
	if err != nil || got.ErrorClass != "malformed" || !strings.Contains(got.Error, "over the limit") {
		t.Errorf("entry is %+v, error %v", got, err)
	}
}

func TestPassingTroubleIsTriedAgainUntilTheLastAttempt(t *testing.T) {
	w, _ := newWorld(t, "latest")
	w.haulErr = &haul.Error{Class: haul.Throttled, RetryAfter: time.Minute, Text: "slow down"}
	_, err := w.work(t, 9)
	var retry *store.RetryError
	if !errors.As(err, &retry) || retry.After != time.Minute {
		t.Errorf("error is %v, want to be tried again after a minute", err)
	}
	if got, err := w.work(t, 10); err != nil || got.Outcome != ledger.Failed || got.Attempts != 10 {
		t.Errorf("entry is %+v, error %v", got, err)
	}
}

func TestMissingSpecIsGivenTimeToArrive(t *testing.T) {
	w, _ := newWorld(t, "latest")
	w.specErr = &cas.NotFoundError{}
	var retry *store.RetryError
	if _, err := w.work(t, 1); !errors.As(err, &retry) {
		t.Errorf("error is %v, want to be tried again", err)
	}
	if got, err := w.work(t, 4); err != nil || got.ErrorClass != "evicted" || !strings.Contains(got.Error, "Build again with ") {
		t.Errorf("entry is %+v, error %v", got, err)
	}
}

func TestJobWaitsForTheWorkspaceStatusOfAStreamThatGoesOn(t *testing.T) {
	w, _ := newWorld(t, "{BUILD_SCM_REVISION}")
	w.invocation.Finished, w.invocation.Status = false, nil
	var postponed *store.PostponeError
	if _, err := w.work(t, 1); !errors.As(err, &postponed) {
		t.Errorf("error is %v, want to be postponed", err)
	}
	began := w.now
	w.now = began.Add(2 * time.Hour) // the client was killed, and its stream never ends
	if got, err := w.work(t, 1); err != nil || got.ErrorClass != "stamp" {
		t.Errorf("entry is %+v, error %v", got, err)
	}
	// Two daemons write side by side: a job can be there before its build is.
	w.invocation, w.created = store.Invocation{}, w.now.Add(-time.Second)
	if _, err := w.work(t, 1); !errors.As(err, &postponed) {
		t.Errorf("before its build is stored, the error is %v, want to be postponed", err)
	}
}

func TestStopOfTheDaemonIsNoFailure(t *testing.T) {
	w, _ := newWorld(t, "latest")
	w.haulErr = context.Canceled
	worker := dispatch.NewWorker(dispatch.WorkerOptions{Specs: w, Hauler: w, Invocations: w, Tags: w, Blobs: w, Policy: w, Logger: zerolog.Nop()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := worker.Work(ctx, store.Job{Spec: store.SpecRef{Inline: w.spec}}, store.Attempt{Number: 10, Max: 10})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestTagsThatAreNotToBeWrittenOverAreTheBuildsOrThePolicys(t *testing.T) {
	for _, row := range []struct {
		overwrite pushspec.Overwrite
		terms     admission.Terms
		want      []string
	}{
		{"", admission.Terms{}, nil},
		{pushspec.OverwriteAlways, admission.Terms{}, nil},
		{pushspec.OverwriteAlways, admission.Terms{KeepTags: []string{"v1"}}, []string{"v1"}},
		{pushspec.OverwriteNever, admission.Terms{KeepTags: []string{"v1"}}, []string{"latest", "v1"}},
	} {
		w, _ := newWorld(t, "latest", "v1")
		decoded, err := pushspec.Decode(w.spec)
		if err != nil {
			t.Fatal(err)
		}
		decoded.Destination.Overwrite = row.overwrite
		decoded.Version()
		if w.spec, err = decoded.Encode(); err != nil {
			t.Fatal(err)
		}
		w.terms = row.terms
		if _, err := w.work(t, 1); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(w.request.KeepTags, row.want) {
			t.Errorf("overwrite %q, policy %q: %q are kept, want %q", row.overwrite, row.terms.KeepTags, w.request.KeepTags, row.want)
		}
	}
}

func TestATagThatIsTakenIsDenied(t *testing.T) {
	w, _ := newWorld(t, "v1")
	w.haulErr = &haul.Error{Class: haul.Taken, Text: "tag v1 points to another image"}
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.Outcome != ledger.Denied || got.ErrorClass != "taken" {
		t.Errorf("the row is %s, %s", got.Outcome, got.ErrorClass)
	}
}
