package admission_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/admission"
)

func TestARuleWithoutSourcesReadsOnlyItsOwnRepositories(t *testing.T) {
	a := policy(t, admission.Policy{Rules: []admission.Rule{
		{Name: "own", Clients: []string{"token:own"}, Repositories: []string{"ghcr.io/acme/**"}},
		{Name: "named", Clients: []string{"token:named"}, Repositories: []string{"ghcr.io/acme/**"}, Sources: []string{"docker.io/library/*"}},
		{Name: "bare", Clients: []string{"token:bare"}},
	}})
	for _, row := range []struct{ client, source, denied string }{
		{"token:own", "ghcr.io/acme/base", ""},
		{"token:own", "ghcr.io/other/base",
			`rule own has no sources, so layers are read only from the remote cache and from its repositories ghcr.io/acme/**, but not from ghcr.io/other/base; to allow that, add "ghcr.io/other/base" to the rule's sources`},
		{"token:own", "169.254.169.254/latest/meta", "not from 169.254.169.254/latest/meta"},
		{"token:own", "localhost:5000/acme/base", "not from localhost:5000/acme/base"},
		{"token:named", "index.docker.io/library/debian", ""},
		{"token:named", "ghcr.io/acme/base", "but not ghcr.io/acme/base"},
		{"token:bare", "ghcr.io/acme/base",
			`rule bare has neither sources nor repositories, so layers are read only from the remote cache, but not from ghcr.io/acme/base; to allow that, add "ghcr.io/acme/base" to the rule's sources`},
		{"token:bare", "", ""},
	} {
		push := admission.Push{Client: row.client, Target: "//app:push", Repository: "ghcr.io/acme/app"}
		if row.source != "" {
			push.Sources = []string{row.source}
		}
		_, err := a.Admit(push)
		if _, denied := errors.AsType[*admission.DeniedError](err); denied != (row.denied != "") || denied && !strings.Contains(err.Error(), row.denied) {
			t.Errorf("%s from %q: %v, want %q", row.client, row.source, err, row.denied)
		}
	}
}

// However a registry is spelled, in a pattern or in a push, it is the same.
func TestPatternsAndPushesAreComparedByCanonicalNames(t *testing.T) {
	for _, row := range []struct {
		pattern, repository string
		allowed             bool
	}{
		{"docker.io/acme/*", "index.docker.io/acme/app", true},
		{"index.docker.io/acme/*", "docker.io/acme/app", true},
		{"registry-1.docker.io/acme/*", "Docker.io/acme/app", true},
		{"{docker,ghcr}.io/acme/*", "index.docker.io/acme/app", true},
		{"*.docker.io/acme/*", "docker.io/acme/app", true},
		{"{docker.io/acme,ghcr.io/acme}/*", "docker.io/acme/app", true},
		{"GHCR.io.:443/acme/*", "ghcr.io/acme/app", true},
		{"ghcr.io/acme/*", "GHCR.io.:443/acme/app", true},
		{"*.Example:443/acme/*", "a.example:443/acme/app", true},
		{"127.0.0.1:5000/**", "[::ffff:127.0.0.1]:5000/acme/app", true},
		{"bücher.example/**", "xn--bcher-kva.example/acme/app", true},
		{"ghcr.io/acme/*", "ghcr.io:80/acme/app", false},
		{"ghcr.io/acme/*", "ghcr.io:5000/acme/app", false},
		{"ghcr.io/acme/*", "ghcr.io.evil.example/acme/app", false},
		{"docker.io/acme/*", "evil.docker.io/acme/app", false},
		{"docker.io/acme/*", "docker.io:5000/acme/app", false},
		{"ghcr.io/acme/*", "ghcr.io/Acme/app", false},
	} {
		a := policy(t, admission.Policy{Rules: []admission.Rule{{Name: "r", Repositories: []string{row.pattern}, Sources: []string{row.pattern}}}})
		_, err := a.Admit(admission.Push{Client: "token:ci", Repository: row.repository})
		if (err == nil) != row.allowed {
			t.Errorf("%s to %s: %v", row.pattern, row.repository, err)
		}
		open := policy(t, admission.Policy{Rules: []admission.Rule{{Name: "r", Sources: []string{row.pattern}}}})
		_, err = open.Admit(admission.Push{Client: "token:ci", Repository: "ghcr.io/acme/app", Sources: []string{row.repository}})
		if (err == nil) != row.allowed {
			t.Errorf("%s from %s: %v", row.pattern, row.repository, err)
		}
	}
}

func TestAPatternForEveryRegistryIsWarnedOf(t *testing.T) {
	for pattern, wide := range map[string]bool{
		"**": true, "*/**": true, "*/acme/**": true, "**/pub/**": true, "?*/x": true, "{*,ghcr.io}/**": true, "{ghcr.io/a,**}": true,
		"ghcr.io/**": false, "*.example/**": false, "{ghcr,docker}.io/**": false, "*.dkr.ecr.*.amazonaws.com/**": false,
	} {
		warnings := policy(t, admission.Policy{Rules: []admission.Rule{{Name: "r", Repositories: []string{pattern}, Sources: []string{"ghcr.io/**", pattern}}}}).Warnings()
		text := strings.Join(warnings, "\n")
		if wide != (len(warnings) == 2) || len(warnings) == 1 || wide && !strings.Contains(text, "rule r: the pattern \""+pattern+"\" of its sources allows layers from every registry") {
			t.Errorf("%s: warnings are %q", pattern, warnings)
		}
	}
	if got := policy(t, admission.Policy{Rules: []admission.Rule{{Name: "r"}}}).Warnings(); len(got) != 1 || got[0] != "rule r has no repositories: it allows pushes to every registry" {
		t.Errorf("without repositories: %q", got)
	}
	if got := policy(t, admission.Policy{}).Warnings(); len(got) > 0 {
		t.Errorf("without a policy: %q", got)
	}
}
