package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/e2e/rulesdoc"
)

func TestTheReferenceOfTheRulesIsWhatTheirDocstringsSay(t *testing.T) {
	t.Parallel()
	reference := rulesdoc.Extract(t)
	for _, name := range reference.Undocumented() {
		t.Errorf("rules/%s has no docstring", name)
	}

	fresh := reference.Files(t)
	for name, text := range fresh {
		checkedIn, err := os.ReadFile(filepath.Join(rig.Root(t), name))
		if err != nil {
			t.Errorf("there is no %s: run `make generate` (%v)", name, err)
			continue
		}
		if diff := cmp.Diff(string(checkedIn), text); diff != "" {
			t.Errorf("%s is not what the docstrings say: run `make generate` (-checked in +fresh)\n%s", name, diff)
		}
	}
	pages, err := os.ReadDir(filepath.Join(rig.Root(t), rulesdoc.Folder))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if _, ok := fresh[filepath.Join(rulesdoc.Folder, page.Name())]; !ok {
			t.Errorf("%s/%s is generated from nothing: run `make generate`", rulesdoc.Folder, page.Name())
		}
	}
}

func TestTheGuideLeadsToEveryPageOfTheReference(t *testing.T) {
	t.Parallel()
	guide := readPage(t, rig.Root(t), "docs/rules.md")
	pages, err := filepath.Glob(filepath.Join(rig.Root(t), rulesdoc.Folder, "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("there are no pages (%v)", err)
	}
	for _, page := range pages {
		if !strings.Contains(guide, "(rules/"+filepath.Base(page)+")") {
			t.Errorf("docs/rules.md has no link to rules/%s", filepath.Base(page))
		}
	}
}
