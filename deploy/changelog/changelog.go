package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// kinds are the sections of a release, in their order, as https://keepachangelog.com
// has them. A fragment's file is named for one: NAME.fixed.md.
var kinds = []string{"added", "changed", "deprecated", "removed", "fixed", "security"}

// fragment is one change: the text of one file.
type fragment struct{ path, kind, text string }

// readFragments reads the fragments of a folder, in the order of their names.
func readFragments(dir string) ([]fragment, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return nil, err
	}
	var fragments []fragment
	var problems []error
	for _, path := range paths {
		f, err := readFragment(path)
		problems = append(problems, err)
		fragments = append(fragments, f)
	}
	return fragments, errors.Join(problems...)
}

func readFragment(path string) (fragment, error) {
	name, isPage := strings.CutSuffix(filepath.Base(path), ".md")
	kind := strings.TrimPrefix(filepath.Ext(name), ".")
	if !isPage || !slices.Contains(kinds, kind) {
		return fragment{}, fmt.Errorf("%s: the name must be NAME.KIND.md, and KIND one of %s", path, strings.Join(kinds, ", "))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fragment{}, err
	}
	text := strings.TrimSpace(string(data))
	if text == "" || strings.HasPrefix(text, "-") || strings.HasPrefix(text, "#") {
		return fragment{}, fmt.Errorf("%s: the text must be sentences, without a bullet or a heading", path)
	}
	return fragment{path, kind, text}, nil
}

const unreleased = "## Unreleased\n"

// gather is a changelog in which what is unreleased, and the fragments, are a release
// with a title such as "0.2.0 - 2026-12-24".
func gather(changelog, title string, fragments []fragment) (string, error) {
	head, rest := changelog, ""
	if i := strings.Index(changelog, "\n## "); i >= 0 {
		head, rest = changelog[:i+1], changelog[i+1:]
	}
	version, _, _ := strings.Cut(title, " ")
	if strings.Contains(rest, "## "+version+" ") {
		return "", fmt.Errorf("the changelog has %s already", version)
	}
	sections := map[string][]string{}
	if after, found := strings.CutPrefix(rest, unreleased); found {
		body := after
		rest = ""
		if i := strings.Index(after, "\n## "); i >= 0 {
			body, rest = after[:i+1], after[i+1:]
		}
		if err := split(body, sections); err != nil {
			return "", err
		}
	}
	for _, f := range fragments {
		sections[f.kind] = append(sections[f.kind], "- "+strings.ReplaceAll(f.text, "\n", "\n  "))
	}
	if len(sections) == 0 {
		return "", errors.New("nothing has changed since the last release: there are no fragments")
	}
	var release strings.Builder
	fmt.Fprintf(&release, "## %s\n\n", title)
	for _, kind := range kinds {
		if lines := sections[kind]; len(lines) > 0 {
			fmt.Fprintf(&release, "### %s%s\n\n%s\n\n", strings.ToUpper(kind[:1]), kind[1:], strings.Join(lines, "\n"))
		}
	}
	return strings.TrimRight(head+release.String()+rest, "\n") + "\n", nil
}

// split adds the entries of a release's body to its sections.
func split(body string, sections map[string][]string) error {
	for part := range strings.SplitSeq("\n"+body, "\n### ") {
		title, entries, _ := strings.Cut(part, "\n")
		entries = strings.TrimSpace(entries)
		switch kind := strings.ToLower(strings.TrimSpace(title)); {
		case slices.Contains(kinds, kind):
			if entries != "" {
				sections[kind] = append(sections[kind], entries)
			}
		case strings.TrimSpace(part) != "":
			return fmt.Errorf("the changelog's unreleased changes have a section %q, which is none of %s", title, strings.Join(kinds, ", "))
		}
	}
	return nil
}
