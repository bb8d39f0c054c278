// Command changelog is what `make changelog VERSION=x` runs: it gathers the fragments
// of docs/changes into CHANGELOG.md as a release, and removes them.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	version := flag.String("version", "", "the release: 0.2.0")
	date := flag.String("date", time.Now().UTC().Format(time.DateOnly), "its day")
	file := flag.String("file", "CHANGELOG.md", "the changelog")
	dir := flag.String("fragments", "docs/changes", "the folder of the fragments")
	flag.Parse()
	if err := release(*version, *date, *file, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "changelog:", err)
		os.Exit(1)
	}
}

func release(version, date, file, dir string) error {
	if version == "" {
		return fmt.Errorf("say which release: make changelog VERSION=0.2.0")
	}
	fragments, err := readFragments(dir)
	if err != nil {
		return err
	}
	changelog, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text, err := gather(string(changelog), version+" - "+date, fragments)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // it is published
		return err
	}
	for _, f := range fragments {
		if err := os.Remove(f.path); err != nil {
			return err
		}
	}
	return nil
}
