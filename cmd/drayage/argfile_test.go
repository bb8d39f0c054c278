package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArgumentsComeFromAFileAsBazelQuotesThem(t *testing.T) {
	file := filepath.Join(t.TempDir(), "manifest.params")
	text := "manifest\n'--label=a=line one\nline two'\n--env=B=1\n'--cmd=it'\\''s'\n''\n@not-a-file\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := expand([]string{"@" + file})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"manifest", "--label=a=line one\nline two", "--env=B=1", "--cmd=it's", "", "@not-a-file"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
}

func TestAnArgumentAmongOthersIsNoFile(t *testing.T) {
	args := []string{"manifest", "@here"}
	got, err := expand(args)
	if diff := cmp.Diff(args, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestAQuoteWithoutAnEndIsAnError(t *testing.T) {
	for _, text := range []string{"a 'b", `a\`} {
		if got, err := words(text); err == nil {
			t.Errorf("%q is read as %q", text, got)
		}
	}
}
