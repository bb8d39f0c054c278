package admission_test

import (
	"testing"

	"github.com/drayage/drayage/internal/admission"
)

func TestWhatMayBeMountedIsSaidByTheRuleThatAllowsThePush(t *testing.T) {
	a := policy(t, admission.Policy{Rules: []admission.Rule{
		{Name: "public", Clients: []string{"token:pub"}, Repositories: []string{"r.test/pub/**"}, Sources: []string{"r.test/pub/**", "r.test/base/*"}},
		{Name: "backup", Clients: []string{"token:pub"}, Repositories: []string{"r.test/private/**"}, Sources: []string{"r.test/private/**"}},
		{Name: "team", Clients: []string{"token:team"}, Repositories: []string{"r.test/team/**"}},
		{Name: "releases", Clients: []string{"token:team"}, Repositories: []string{"r.test/team/**"}, Tags: []string{"v*"}, Sources: []string{"r.test/staging/*"}},
		{Name: "operators", Clients: []string{"token:ops"}},
	}})
	for _, row := range []struct {
		client, to, tag, from string
		sources               []string
		want                  bool
	}{
		{client: "token:pub", to: "r.test/pub/app", from: "r.test/pub/other", want: true},
		{client: "token:pub", to: "r.test/pub/app", from: "r.test/base/debian", want: true},
		// That another rule allows the client to read or write there does not count.
		{client: "token:pub", to: "r.test/pub/app", from: "r.test/private/app"},
		{client: "token:pub", to: "r.test/private/app", from: "r.test/private/other", want: true},
		{client: "token:pub", to: "r.test/private/app", from: "r.test/pub/app"},
		{client: "token:pub", to: "r.test/pub/app", from: "r.test/team/app"},
		// Without sources it is the rule's own repositories.
		{client: "token:team", to: "r.test/team/app", tag: "latest", from: "r.test/team/other", want: true},
		{client: "token:team", to: "r.test/team/app", tag: "latest", from: "r.test/private/app"},
		{client: "token:team", to: "r.test/team/app", tag: "latest", from: "r.test/staging/app"},
		{client: "token:team", to: "r.test/team/app", tag: "v1", from: "r.test/staging/app", want: true},
		// A rule that does not allow what the push reads allows no mount either.
		{client: "token:team", to: "r.test/team/app", tag: "v1", from: "r.test/staging/app", sources: []string{"r.test/base/debian"}},
		// A rule for everything names nothing.
		{client: "token:ops", to: "r.test/any/app", from: "r.test/private/app"},
		{client: "token:other", to: "r.test/pub/app", from: "r.test/pub/other"},
	} {
		push := admission.Push{Client: row.client, Target: "//app:push", Repository: row.to, Sources: row.sources}
		if row.tag != "" {
			push.Tags = []string{row.tag}
		}
		if got := a.MayMount(push, row.from); got != row.want {
			t.Errorf("%s to %s:%s, from %s: %t, want %t", row.client, row.to, row.tag, row.from, got, row.want)
		}
	}
	if open := policy(t, admission.Policy{}); !open.MayMount(admission.Push{}, "r.test/private/app") {
		t.Error("without a policy a mount is denied")
	}
	if shut := policy(t, admission.Policy{Rules: []admission.Rule{}}); shut.MayMount(admission.Push{}, "r.test/private/app") {
		t.Error("without rules a mount is allowed")
	}
}
