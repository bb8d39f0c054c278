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

func TestLinksInTheDocumentationLeadSomewhere(t *testing.T) {
	t.Parallel()
	root := rig.Root(t)
	pages := []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md"}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			page, _ := filepath.Rel(root, path)
			pages = append(pages, page)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	base := func(page string) string {
		if filepath.Dir(page) == filepath.Join("docs", "changes") {
			return "" // it is going to be a part of CHANGELOG.md
		}
		return filepath.Dir(page)
	}
	for _, page := range pages {
		for _, match := range markdownLink.FindAllStringSubmatch(withoutCode(readPage(t, root, page)), -1) {
			path, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			links++
			target := page
			if path != "" {
				target = filepath.Join(base(page), path)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which is not there", page, match[1])
				continue
			}
			if anchor != "" && !anchorsOf(readPage(t, root, target))[anchor] {
				t.Errorf("%s links to %s, and %s has no such anchor", page, match[1], target)
			}
		}
	}
	if links < 20 {
		t.Errorf("only %d links were found in %d pages", links, len(pages))
	}
}

var (
	markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	codeBlock    = regexp.MustCompile("(?ms)^```.*?^```$")
	codeSpan     = regexp.MustCompile("`[^`\n]*`")
	heading      = regexp.MustCompile(`(?m)^#+ (.*)$`)
	namedAnchor  = regexp.MustCompile(`<a id="([^"]+)">`)
	notInSlug    = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

func readPage(t *testing.T, root, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// withoutCode leaves code out, in which brackets are no links.
func withoutCode(text string) string {
	return codeSpan.ReplaceAllString(codeBlock.ReplaceAllString(text, ""), "``")
}

// anchorsOf are what a page can be linked to at: its named anchors, and its
// headings as GitHub names them.
func anchorsOf(text string) map[string]bool {
	anchors := map[string]bool{}
	for _, match := range namedAnchor.FindAllStringSubmatch(text, -1) {
		anchors[match[1]] = true
	}
	for _, match := range heading.FindAllStringSubmatch(codeBlock.ReplaceAllString(text, ""), -1) {
		slug := notInSlug.ReplaceAllString(strings.ToLower(match[1]), "")
		anchors[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return anchors
}
