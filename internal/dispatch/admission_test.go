package dispatch_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
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

// What a stranger sends is not even looked at.
func TestTheSpecOfAClientThatMayPushNothingIsNeverRead(t *testing.T) {
	policy, err := admission.New(admission.Policy{Rules: []admission.Rule{{Name: "team", Clients: []string{"token:ci"}}}})
	if err != nil {
		t.Fatal(err)
	}
	w, _ := newWorld(t)
	w.change = func(job *store.Job) { job.Client = "address:203.0.113.7" }
	w.stranger = !policy.MayPush("address:203.0.113.7")
	w.admit = func(push admission.Push) error {
		_, err := policy.Admit(push)
		return err
	}
	entry, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	if w.read != 0 {
		t.Error("the spec was read")
	}
	want := "push //app:push: the daemon's policy does not allow address:203.0.113.7 to push this: rule team allows the clients token:ci, but not address:203.0.113.7"
	if entry.Outcome != ledger.Denied || entry.ErrorClass != "policy" || entry.Error != want {
		t.Errorf("the outcome is %s, of class %s: %s", entry.Outcome, entry.ErrorClass, entry.Error)
	}
}
