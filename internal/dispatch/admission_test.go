package dispatch_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/pushspec"
)

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

func TestThePolicyIsNotAskedForALayerThatIsNotToBeDistributed(t *testing.T) {
	w, _ := layeredOf(t, types.OCIRestrictedLayer, func(string) pushspec.Source { return pushspec.Source{Repository: "mcr.example/windows"} })
	if _, err := w.work(t, 1); err != nil {
		t.Fatal(err)
	}
	if len(w.push.Sources) != 0 {
		t.Errorf("the policy was asked for %v", w.push.Sources)
	}
}

// A client cannot have a layer of a repository that it may not read copied to one that
// it may.
func TestABlobIsMountedFromWhereTheClientMayReadOrWrite(t *testing.T) {
	w, _ := layered(t)
	if _, err := w.work(t, 1); err != nil {
		t.Fatal(err)
	}
	policy, err := admission.New(admission.Policy{Rules: []admission.Rule{
		{Name: "own", Clients: []string{"token:ci"}, Repositories: []string{"ghcr.io/acme/*"}, Sources: []string{"ghcr.io/base/*"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.admit = func(push admission.Push) error {
		push.Client = "token:ci"
		_, err := policy.Admit(push)
		return err
	}
	for repository, want := range map[string]bool{"acme/other": true, "base/debian": true, "secret/app": false} {
		if got := w.request.MayMount(repository); got != want {
			t.Errorf("from %s: %t, want %t", repository, got, want)
		}
	}
}
