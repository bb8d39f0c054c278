package dispatch_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
)

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
	request := haul.Request{Repository: "acme/app", Tags: []string{"latest", "git-6a14a96"}, Instance: "main", Invocation: "invocation", Client: "ci"}
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
