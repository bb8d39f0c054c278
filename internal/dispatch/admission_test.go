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

// The push's client, its target, its tags and its sources decide on mounts as they do on the
// push itself.
func TestABlobIsMountedFromWhereTheRuleOfThePushAllowsIt(t *testing.T) {
	w, _ := layered(t)
	w.change = func(job *store.Job) { job.Client = "token:ci" }
	if _, err := w.work(t, 1); err != nil {
		t.Fatal(err)
	}
	var err error
	w.mounts, err = admission.New(admission.Policy{Rules: []admission.Rule{
		{Name: "own", Clients: []string{"token:ci"}, Targets: []string{"//app:push"}, Repositories: []string{"ghcr.io/acme/*"}, Tags: []string{"latest"}, Sources: []string{"ghcr.io/base/*"}},
		{Name: "other tag", Clients: []string{"token:ci"}, Repositories: []string{"ghcr.io/acme/*"}, Tags: []string{"v*"}, Sources: []string{"ghcr.io/secret/*"}},
		{Name: "other client", Clients: []string{"token:boss"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for repository, want := range map[string]bool{"base/debian": true, "acme/other": false, "secret/app": false} {
		if got := w.request.MayMount(repository); got != want {
			t.Errorf("from %s: %t, want %t", repository, got, want)
		}
	}
	if w.request.Client != "token:ci" {
		t.Errorf("the hauler is told that %q asks for the push", w.request.Client)
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
