package admission_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/admission"
)

const (
	secret = "0123456789abcdef01234567"
	other  = "abcdefabcdefabcdefabcdef"
)

func policy(t *testing.T, p admission.Policy) *admission.Admission {
	t.Helper()
	a, err := admission.New(p)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestClientsAreKnownByTheBestThatTheyShow(t *testing.T) {
	a := policy(t, admission.Policy{Tokens: []admission.Token{{Name: "ci", Secret: secret}, {Name: "ci", Secret: other}}})
	for _, c := range []struct{ token, certificate, address, want string }{
		{"", "", "10.0.0.7", "address:10.0.0.7"},
		{"", "spiffe://acme/ci", "10.0.0.7", "certificate:spiffe://acme/ci"},
		{secret, "spiffe://acme/ci", "10.0.0.7", "token:ci"},
		{other, "", "10.0.0.7", "token:ci"},
	} {
		if got, err := a.Identify(c.token, c.certificate, c.address); err != nil || got != c.want {
			t.Errorf("%+v is %q, %v", c, got, err)
		}
	}
	if got, err := a.Identify(secret+"x", "spiffe://acme/ci", ""); err == nil || err.Error() != "unknown token" {
		t.Errorf("a wrong token is %q, %v", got, err)
	}
}

func TestARuleAllowsWhatAllItsFieldsAllow(t *testing.T) {
	a := policy(t, admission.Policy{Rules: []admission.Rule{
		{
			Name: "release", Clients: []string{"token:release", "certificate:spiffe://acme/release/*"}, Targets: []string{"//release/...", "//app:push"},
			Repositories: []string{"ghcr.io/acme/**"}, Tags: []string{"v*", "latest"}, Sources: []string{"index.docker.io/library/*"},
		},
		{Name: "branches", Clients: []string{"token:ci", "address:10.0.0.0/8", "address:::1"}, Repositories: []string{"ghcr.io/acme/dev-*"}},
	}})
	release := admission.Push{
		Client: "token:release", Target: "@@//release/server:push", Repository: "ghcr.io/acme/team/app", Tags: []string{"v1.2", "latest"},
		Sources: []string{"index.docker.io/library/debian"},
	}
	for name, c := range map[string]struct {
		change func(*admission.Push)
		denied string
	}{
		"all right":          {func(*admission.Push) {}, ""},
		"by certificate":     {func(p *admission.Push) { p.Client = "certificate:spiffe://acme/release/7" }, ""},
		"the package itself": {func(p *admission.Push) { p.Target = "//release:push" }, ""},
		"one target":         {func(p *admission.Push) { p.Target = "//app:push" }, ""},
		"without tags":       {func(p *admission.Push) { p.Tags = nil }, ""},
		"a network": {func(p *admission.Push) {
			*p = admission.Push{Client: "address:10.9.8.7", Repository: "ghcr.io/acme/dev-x"}
		}, ""},
		"a mapped address": {func(p *admission.Push) {
			*p = admission.Push{Client: "address:::ffff:10.9.8.7", Repository: "ghcr.io/acme/dev-x"}
		}, ""},
		"an address": {func(p *admission.Push) { *p = admission.Push{Client: "address:::1", Repository: "ghcr.io/acme/dev-x"} }, ""},
		"another network": {func(p *admission.Push) {
			*p = admission.Push{Client: "address:11.9.8.7", Repository: "ghcr.io/acme/dev-x"}
		}, "but not address:11.9.8.7"},
		"named like an address": {func(p *admission.Push) {
			*p = admission.Push{Client: "token:10.9.8.7", Repository: "ghcr.io/acme/dev-x"}
		}, "but not token:10.9.8.7"},
		"another client":         {func(p *admission.Push) { p.Client = "token:releaser" }, "does not allow token:releaser to push this: rule release allows the clients token:release, "},
		"a package beside":       {func(p *admission.Push) { p.Target = "//released:push" }, "rule release allows the targets //release/..., //app:push, but not //released:push"},
		"another repository's":   {func(p *admission.Push) { p.Target = "@@evil//release:push" }, "but not @@evil//release:push"},
		"another registry":       {func(p *admission.Push) { p.Repository = "evil.io/ghcr.io/acme/app" }, "rule release allows the repositories ghcr.io/acme/**, but not evil.io/ghcr.io/acme/app"},
		"one tag too many":       {func(p *admission.Push) { p.Tags = []string{"v1", "dev"} }, "rule release allows the tags v*, latest, but not dev"},
		"a source":               {func(p *admission.Push) { p.Sources = []string{"ghcr.io/secret/base"} }, `sources of layers index.docker.io/library/*, but not ghcr.io/secret/base; to allow that, add "ghcr.io/secret/base" to the rule's sources`},
		"of two rules the other": {func(p *admission.Push) { p.Client = "token:ci" }, "rule branches allows the repositories ghcr.io/acme/dev-*"},
	} {
		push := release
		c.change(&push)
		_, err := a.Admit(push)
		if _, denied := errors.AsType[*admission.DeniedError](err); c.denied == "" && err != nil || c.denied != "" && (!denied || !strings.Contains(err.Error(), c.denied)) {
			t.Errorf("%s: %v, want %q", name, err, c.denied)
		}
	}
}

func TestNoPolicyAllowsAllAndAnEmptyOneNothing(t *testing.T) {
	push := admission.Push{Client: "address:10.0.0.7", Repository: "ghcr.io/acme/app"}
	open := policy(t, admission.Policy{})
	if _, err := open.Admit(push); err != nil || !open.MayRead(push.Client) || !open.MayOperate(push.Client) {
		t.Errorf("without a policy: %v", err)
	}
	shut := policy(t, admission.Policy{Rules: []admission.Rule{}, Read: []string{}, Operate: []string{"address:127.0.0.1"}})
	if _, err := shut.Admit(push); err == nil || shut.MayRead(push.Client) || shut.MayOperate(push.Client) {
		t.Errorf("with an empty policy: %v", err)
	}
	if !shut.MayOperate("address:127.0.0.1") {
		t.Error("a client that is named may not operate")
	}
}

func TestAPolicyThatCannotBeIsRefused(t *testing.T) {
	rule := func(change func(*admission.Rule)) admission.Policy {
		r := admission.Rule{Name: "r"}
		change(&r)
		return admission.Policy{Rules: []admission.Rule{r}}
	}
	for want, p := range map[string]admission.Policy{
		"tokens[0].name: must be set":                       {Tokens: []admission.Token{{Secret: secret}}},
		"tokens[0]: the token of ci has 5 bytes":            {Tokens: []admission.Token{{Name: "ci", Secret: "short"}}},
		"tokens[1]: ci and cd must not have the same token": {Tokens: []admission.Token{{Name: "ci", Secret: secret}, {Name: "cd", Secret: secret}}},
		"rules[0].name: must be set":                        {Rules: []admission.Rule{{}}},
		`rules[0].clients: "ci" must begin with`:            rule(func(r *admission.Rule) { r.Clients = []string{"ci"} }),
		`rules[0].clients: "address:10.0/8" must be`:        rule(func(r *admission.Rule) { r.Clients = []string{"address:10.0/8"} }),
		`rules[0].targets: "app" must be a target`:          rule(func(r *admission.Rule) { r.Targets = []string{"app"} }),
		`rules[0].targets: "//app" must be`:                 rule(func(r *admission.Rule) { r.Targets = []string{"//app"} }),
		`rules[0].repositories: "[" is not a`:               rule(func(r *admission.Rule) { r.Repositories = []string{"["} }),
		`rules[0].tags: "" is not a valid pattern`:          rule(func(r *admission.Rule) { r.Tags = []string{""} }),
		`rules[0].sources: "{" is not a valid pattern`:      rule(func(r *admission.Rule) { r.Sources = []string{"{"} }),
		`read: "everybody" must begin with`:                 {Read: []string{"everybody"}},
		`operate: "me" must begin with`:                     {Operate: []string{"me"}},
		`promote: "me" must begin with`:                     {Promote: []string{"me"}},
		`promote_withheld: "me" must begin with`:            {PromoteWithheld: []string{"me"}},
		`rules[0].needs_green: "[" is not a`:                rule(func(r *admission.Rule) { r.NeedsGreen = []string{"["} }),
		`rules[0].needs_approval: "[" is not a`:             rule(func(r *admission.Rule) { r.NeedsApproval = []string{"["} }),
		`rules[0].read_back: "[" is not a`:                  rule(func(r *admission.Rule) { r.ReadBack = []string{"["} }),
	} {
		if _, err := admission.New(p); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestTagsThatAreNeverWrittenOverAreTermsOfARule(t *testing.T) {
	a := policy(t, admission.Policy{Rules: []admission.Rule{
		{Name: "release", Clients: []string{"token:ci"}, Repositories: []string{"ghcr.io/acme/*"}, NeverOverwrite: []string{"v*", "[0-9]*"}},
		{Name: "development", Clients: []string{"token:ci"}, Repositories: []string{"ghcr.io/acme/dev"}, NeverOverwrite: []string{"v1"}},
		{Name: "robots", Clients: []string{"token:robot"}, Repositories: []string{"ghcr.io/acme/*"}},
	}})
	for _, row := range []struct {
		client, repository string
		tags, want         []string
	}{
		{"token:ci", "ghcr.io/acme/app", []string{"v1", "latest", "1.2"}, []string{"v1", "1.2"}},
		{"token:ci", "ghcr.io/acme/app", []string{"latest"}, nil},
		{"token:ci", "ghcr.io/acme/app", nil, nil},
		// Of two rules that allow it the one that asks less.
		{"token:ci", "ghcr.io/acme/dev", []string{"v1", "v2"}, []string{"v1"}},
		{"token:ci", "ghcr.io/acme/dev", []string{"v2"}, nil},
		{"token:robot", "ghcr.io/acme/app", []string{"v1"}, nil},
	} {
		terms, err := a.Admit(admission.Push{Client: row.client, Target: "//app:push", Repository: row.repository, Tags: row.tags})
		if err != nil || !slices.Equal(terms.KeepTags, row.want) {
			t.Errorf("%s to %s with %q: %q (%v), want %q", row.client, row.repository, row.tags, terms.KeepTags, err, row.want)
		}
	}
	if _, err := admission.New(admission.Policy{Rules: []admission.Rule{{Name: "r", NeverOverwrite: []string{"["}}}}); err == nil || !strings.Contains(err.Error(), "rules[0].never_overwrite") {
		t.Errorf("a pattern that is none: error is %v", err)
	}
}

func TestAClientMayPushIfARuleIsForIt(t *testing.T) {
	rules := func(clients ...[]string) []admission.Rule {
		list := []admission.Rule{}
		for _, c := range clients {
			list = append(list, admission.Rule{Name: "r", Clients: c, Repositories: []string{"ghcr.io/acme/*"}})
		}
		return list
	}
	for _, row := range []struct {
		name  string
		rules []admission.Rule
		want  bool
	}{
		{"no policy", nil, true},
		{"no rules", rules(), false},
		{"a rule for everybody", rules([]string{"token:other"}, nil), true},
		{"a rule for others", rules([]string{"token:other", "address:10.0.0.0/8"}), false},
		{"a rule for it", rules([]string{"token:other"}, []string{"token:c*"}), true},
	} {
		a, err := admission.New(admission.Policy{Rules: row.rules})
		if err != nil {
			t.Fatal(err)
		}
		if got := a.MayPush("token:ci"); got != row.want {
			t.Errorf("%s: %t, want %t", row.name, got, row.want)
		}
	}
}
