package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFragmentsBecomeAReleaseBesideWhatWasUnreleased(t *testing.T) {
	dir := t.TempDir()
	file, fragments := filepath.Join(dir, "CHANGELOG.md"), filepath.Join(dir, "changes")
	if err := os.Mkdir(fragments, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, file, "# Changelog\n\nThe format.\n\n## Unreleased\n\n### Fixed\n\n- An old fix.\n\n### Added\n\n- An old thing.\n  Of two lines.\n\n## 0.1.0 - 2026-01-01\n\n### Added\n\n- All.\n")
	write(t, filepath.Join(fragments, "b.fixed.md"), "A fix.\nMore of it.\n")
	write(t, filepath.Join(fragments, "a.security.md"), "A hole.\n")
	if err := release("0.2.0", "2026-12-24", file, fragments); err != nil {
		t.Fatal(err)
	}
	const want = "# Changelog\n\nThe format.\n\n## 0.2.0 - 2026-12-24\n\n### Added\n\n- An old thing.\n  Of two lines.\n\n" +
		"### Fixed\n\n- An old fix.\n- A fix.\n  More of it.\n\n### Security\n\n- A hole.\n\n## 0.1.0 - 2026-01-01\n\n### Added\n\n- All.\n"
	if got, err := os.ReadFile(file); string(got) != want || err != nil {
		t.Errorf("the changelog is (%v)\n%s\nwant\n%s", err, got, want)
	}
	left, err := os.ReadDir(fragments)
	if err != nil || len(left) != 0 {
		t.Errorf("%v are left of the fragments (%v)", left, err)
	}

	write(t, filepath.Join(fragments, "c.fixed.md"), "Another fix.\n")
	if err := release("0.2.0", "2026-12-25", file, fragments); err == nil || !strings.Contains(err.Error(), "has 0.2.0 already") {
		t.Errorf("a release that is there already: %v", err)
	}
	if err := release("0.3.0", "2027-01-01", file, fragments); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if first := "# Changelog\n\nThe format.\n\n## 0.3.0 - 2027-01-01\n\n### Fixed\n\n- Another fix.\n\n## 0.2.0 - "; !strings.HasPrefix(string(got), first) || err != nil {
		t.Errorf("the changelog is (%v)\n%s", err, got)
	}
	if err := release("0.4.0", "2027-01-02", file, fragments); err == nil || !strings.Contains(err.Error(), "nothing has changed") {
		t.Errorf("a release of nothing: %v", err)
	}
}

func TestAFragmentIsNamedForItsKindAndHasSentences(t *testing.T) {
	for name, text := range map[string]string{
		"thing.md":          "No kind.",
		"thing.improved.md": "No such kind.",
		"thing.fixed.txt":   "No page.",
		"thing.fixed.md":    " \n",
		"other.fixed.md":    "- A bullet.",
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, name), text)
		if _, err := readFragments(dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s with %q: %v", name, text, err)
		}
	}
}

func TestTheFragmentsOfThisCheckoutCanBeGathered(t *testing.T) {
	fragments, err := readFragments("../../docs/changes")
	if err != nil {
		t.Error(err)
	}
	changelog, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gather(string(changelog), "999.0.0 - 2026-01-01", append(fragments, fragment{kind: "fixed", text: "Something."})); err != nil {
		t.Error(err)
	}
}
