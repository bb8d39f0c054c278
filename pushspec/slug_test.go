package pushspec_test

import (
	"strings"
	"testing"

	"github.com/drayage/drayage/pushspec"
)

func TestASlugIsAPartOfATag(t *testing.T) {
	long := strings.Repeat("a", 60)
	for value, want := range map[string]string{
		"main":                               "main",
		"feature/x":                          "feature-x",
		"Feature/JIRA-12_Fix.this":           "feature-jira-12_fix.this",
		"refs/heads/release//v1.2.3":         "refs-heads-release-v1.2.3",
		"a__b..c--d._-e":                     "a-b-c-d-e",
		"--.a._":                             "a",
		"grün & bunt":                        "gr-n-bunt",
		"\u212aelvin":                        "elvin", // not the letter K
		"dependabot/npm_and_yarn/x-1":        "dependabot-npm_and_yarn-x-1",
		long + "abc":                         long + "abc", // 63 bytes
		long + "/abc":                        strings.Repeat("a", 54) + "-569e591b",
		long + "/abd":                        strings.Repeat("a", 54) + "-16e15579",
		strings.Repeat("a", 53) + "/" + long: strings.Repeat("a", 53) + "-5543220a",
	} {
		got, err := pushspec.Stamp("{BRANCH|slug}", map[string]string{"BRANCH": value})
		if err != nil || got != want {
			t.Errorf("the slug of %q is %q (%v), want %q", value, got, err, want)
		}
	}
}

// Whatever a branch is called, its slug is a tag, and a part of a tag and of a
// repository, or there is an error.
func FuzzSlug(f *testing.F) {
	for _, value := range []string{"", "main", "feature/x", "-", "..", "a._b", "ÄÖÜ", strings.Repeat("x/", 200), strings.Repeat("-", 80) + "a", strings.Repeat("a", 53) + ".." + strings.Repeat("b", 20)} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		vars := map[string]string{"V": value}
		for _, template := range []string{"{V|slug}", "git-{V|slug}", "v1.{V|slug}_x", "{V|slug:-none}"} {
			tag, err := pushspec.Stamp(template, vars)
			if err != nil {
				if strings.ContainsAny(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") || strings.Contains(template, ":-") {
					t.Errorf("%s of %q: %v", template, value, err)
				}
				continue
			}
			if err := pushspec.CheckTag(tag); err != nil {
				t.Errorf("%s of %q: %v", template, value, err)
			}
			for _, repository := range []string{tag, "acme/" + tag, tag + "/app"} {
				if err := pushspec.CheckRepository(repository); err != nil {
					t.Errorf("%s of %q: %v", template, value, err)
				}
			}
		}
	})
}
