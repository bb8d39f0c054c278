package registry

import (
	"slices"
	"strings"
	"testing"
)

func TestTheScopeOfAChallengeIsAskedForWithWhatIsNeeded(t *testing.T) {
	push, mount := pushScopes("acme/app"), pushScopes("acme/app", "acme/base")
	for _, row := range []struct {
		name, challenge string
		needed          []string
		want            string
	}{
		{"none", "", push, "repository:acme/app:pull,push"},
		{"our own", "repository:acme/app:pull,push", push, "repository:acme/app:pull,push"},
		{"our own, for less", "repository:acme/app:pull", push, "repository:acme/app:pull,push"},
		{"our own, for more", "repository:acme/app:pull,push,delete", push, "repository:acme/app:pull,push,delete"},
		{"everything", "repository:acme/app:*", push, "repository:acme/app:*,pull,push"},
		{"a gateway's", "repository:virtual/acme/app:pull", push, "repository:virtual/acme/app:pull,push"},
		{"a gateway's, with a port", "repository:r.example:5000/acme/app:pull,push", push, "repository:r.example:5000/acme/app:pull,push"},
		{"a mount's source alone", "repository:acme/base:pull", mount, "repository:acme/app:pull,push repository:acme/base:pull"},
		{"a mount's two", "repository:acme/app:pull,push repository:acme/base:pull", mount, "repository:acme/app:pull,push repository:acme/base:pull"},
		{"a gateway's two", "repository:v/base:pull repository:v/app:pull,push", mount, "repository:v/app:pull,push repository:v/base:pull"},
		{"a gateway's one of two", "repository:v/app:pull", mount, "repository:v/app:pull,push"},
		{"of another kind", "registry:catalog:*", push, "registry:catalog:* repository:acme/app:pull,push"},
		{"unreadable", "nonsense", push, "repository:acme/app:pull,push"},
		{"too many", strings.Repeat("repository:x:pull ", 9), push, "repository:acme/app:pull,push"},
		{"too long", "repository:" + strings.Repeat("x", 2000) + ":pull", push, "repository:acme/app:pull,push"},
		{"with bytes that no scope has", "repository:x\x80:pull", push, "repository:acme/app:pull,push"},
	} {
		got := challengedScopes(row.needed, row.challenge)
		if !slices.Equal(got, strings.Fields(row.want)) {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
		// The order of the names must not make another token.
		words := strings.Fields(row.challenge)
		slices.Reverse(words)
		if again := challengedScopes(row.needed, strings.Join(words, " ")); !slices.Equal(got, again) {
			t.Errorf("%s: %q the other way round, want %q", row.name, again, got)
		}
	}
}

func FuzzChallengedScopes(f *testing.F) {
	f.Add("repository:a/b:pull,push registry:catalog:*")
	f.Fuzz(func(t *testing.T, challenge string) {
		got := challengedScopes(pushScopes("acme/app", "acme/base"), challenge)
		if len(got) == 0 || len(got) > maxScopes+2 {
			t.Errorf("%q: %q", challenge, got)
		}
		for _, s := range got {
			if _, ok := parseScope(s); !ok {
				t.Errorf("%q: %q", challenge, s)
			}
		}
	})
}
