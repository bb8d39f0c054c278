package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
)

var decisionPage = regexp.MustCompile(`docs/decisions/[a-z0-9-]+\.md`)

func TestEachDecisionIsListedAndNamedByTheCodeThatItExplains(t *testing.T) {
	t.Parallel()
	root := rig.Root(t)
	named := map[string]string{}
	for _, folder := range []string{"bes", "cmd", "internal", "pushspec", "rules"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if extension := filepath.Ext(path); err != nil || extension != ".go" && extension != ".bzl" {
				return err
			}
			text, err := os.ReadFile(path)
			for _, page := range decisionPage.FindAllString(string(text), -1) {
				named[page] = path
			}
			return err
		})
		check(t, err)
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "decisions", "*.md"))
	check(t, err)
	architecture := readPage(t, root, "docs/architecture.md")
	for _, path := range pages {
		page := "docs/decisions/" + filepath.Base(path)
		if !strings.Contains(architecture, "("+strings.TrimPrefix(page, "docs/")+")") {
			t.Errorf("docs/architecture.md does not link to %s", page)
		}
		if named[page] == "" && filepath.Base(path) != "non-goals.md" {
			t.Errorf("no code names %s: add a line \"See %s.\" where it explains something", page, page)
		}
		delete(named, page)
	}
	for page, path := range named {
		t.Errorf("%s names %s, which is not there", path, page)
	}
}
