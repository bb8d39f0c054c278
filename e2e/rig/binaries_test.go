package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// checkoutThatSays is a module whose commands print a word.
func checkoutThatSays(t *testing.T, root, word string) {
	t.Helper()
	write := func(name, text string) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.com/checkout\n")
	for _, name := range commands {
		write("cmd/"+name+"/main.go", fmt.Sprintf("package main\n\nfunc main() { print(%q) }\n", word))
	}
}

func TestARunKeepsItsCommandsWhileAnotherBuildsThemAnew(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	build := func(word string) string {
		t.Helper()
		checkoutThatSays(t, root, word)
		folder, err := buildCommands(root, dir)
		if err != nil {
			t.Fatal(err)
		}
		return folder
	}
	first := build("one")
	second := build("two")
	for folder, want := range map[string]string{first: "one", second: "two"} {
		for _, name := range commands {
			if got, err := exec.Command(filepath.Join(folder, name)).CombinedOutput(); string(got) != want {
				t.Errorf("%s of the run that built %q says %q (%v)", name, want, got, err)
			}
		}
	}
	if again := build("two"); again != second {
		t.Errorf("the same commands are in %s and in %s", second, again)
	}

	yesterday := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(first, yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	if kept := build("two"); kept != second {
		t.Errorf("the same commands are in %s and in %s", second, kept)
	}
	if _, err := os.Stat(first); !os.IsNotExist(err) {
		t.Errorf("commands that nobody has asked for in a day are still there (%v)", err)
	}
}
