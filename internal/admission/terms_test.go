package admission_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/pushspec"
)

func TestTheStrictestRuleThatAllowsAPushSetsItsGate(t *testing.T) {
	a := policy(t, admission.Policy{Rules: []admission.Rule{
		{Name: "all", Clients: []string{"token:ci"}, Repositories: []string{"ghcr.io/acme/**"}, NeedsGreen: []string{"v*"}, ReadBack: []string{"v*"}},
		{Name: "app", Clients: []string{"token:ci"}, Repositories: []string{"ghcr.io/acme/app"}, NeedsApproval: []string{"*-final"}, ReadBack: []string{"latest"}},
		{Name: "open", Clients: []string{"token:ci"}, Repositories: []string{"ghcr.io/acme/dev/*"}},
		{Name: "others", Clients: []string{"token:robot"}, NeedsApproval: []string{"*"}, NeverOverwrite: []string{"*"}},
	}})
	for _, row := range []struct {
		repository string
		tags       []string
		want       admission.Terms
	}{
		{"ghcr.io/acme/app", []string{"dev"}, admission.Terms{}},
		{"ghcr.io/acme/app", []string{"v1"}, admission.Terms{Gate: pushspec.GateGreen, ReadBack: []string{"v1"}}},
		{"ghcr.io/acme/app", []string{"dev", "v1", "latest"}, admission.Terms{Gate: pushspec.GateGreen, ReadBack: []string{"latest", "v1"}}},
		{"ghcr.io/acme/app", []string{"v1-final"}, admission.Terms{Gate: pushspec.GateApproved, ReadBack: []string{"v1-final"}}},
		{"ghcr.io/acme/other", []string{"v1-final"}, admission.Terms{Gate: pushspec.GateGreen, ReadBack: []string{"v1-final"}}},
		// A rule that asks for nothing lifts no gate of another.
		{"ghcr.io/acme/dev/x", []string{"v1"}, admission.Terms{Gate: pushspec.GateGreen, ReadBack: []string{"v1"}}},
	} {
		got, err := a.Admit(admission.Push{Client: "token:ci", Target: "//app:push", Repository: row.repository, Tags: row.tags})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s with %q (-want +got):\n%s", row.repository, row.tags, diff)
		}
	}
}

func TestAGateAllowsAndDeniesNothing(t *testing.T) {
	a := policy(t, admission.Policy{Rules: []admission.Rule{{Name: "r", Repositories: []string{"ghcr.io/acme/*"}, NeedsApproval: []string{"v*"}, ReadBack: []string{"v*"}}}})
	for repository, allowed := range map[string]bool{"ghcr.io/acme/app": true, "ghcr.io/evil/app": false} {
		for _, tag := range []string{"v1", "dev"} {
			if _, err := a.Admit(admission.Push{Repository: repository, Tags: []string{tag}}); (err == nil) != allowed {
				t.Errorf("%s:%s: error is %v", repository, tag, err)
			}
		}
	}
}

func TestWhoMayPromote(t *testing.T) {
	for name, row := range map[string]struct {
		policy            admission.Policy
		promote, withheld string
	}{
		"no policy":                  {admission.Policy{}, "token:ops token:boss token:ci", ""},
		"those who operate":          {admission.Policy{Operate: []string{"token:ops"}}, "token:ops", ""},
		"those who are named":        {admission.Policy{Operate: []string{"token:ops"}, Promote: []string{"token:boss"}}, "token:boss", ""},
		"nobody":                     {admission.Policy{Promote: []string{}}, "", ""},
		"withheld builds":            {admission.Policy{Operate: []string{"token:ops", "token:boss"}, PromoteWithheld: []string{"token:boss"}}, "token:ops token:boss", "token:boss"},
		"withheld builds alone":      {admission.Policy{Operate: []string{"token:ops"}, PromoteWithheld: []string{"token:boss"}}, "token:ops", ""},
		"withheld builds, all of us": {admission.Policy{PromoteWithheld: []string{"token:*"}}, "token:ops token:boss token:ci", "token:ops token:boss token:ci"},
	} {
		a := policy(t, row.policy)
		var promote, withheld string
		for _, client := range []string{"token:ops", "token:boss", "token:ci"} {
			if a.MayPromote(client) {
				promote += " " + client
			}
			if a.MayPromoteWithheld(client) {
				withheld += " " + client
			}
		}
		if diff := cmp.Diff([]string{row.promote, row.withheld}, []string{trim(promote), trim(withheld)}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func trim(list string) string {
	if list == "" {
		return ""
	}
	return list[1:]
}
