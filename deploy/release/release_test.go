package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// The rules look a platform up in the lock by the name that we write there.
func TestThePlatformsAreThoseOfTheRules(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "rules", "private", "tool_platform.bzl"))
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, found := range regexp.MustCompile(`(?m)^    "(\w+)": \["@platforms//os`).FindAllSubmatch(text, -1) {
		rules = append(rules, string(found[1]))
	}
	ours := strings.Split(strings.ReplaceAll(defaultPlatforms, "/", "_"), ",")
	if !slices.Equal(rules, ours) {
		t.Errorf("the rules know %v, a release has %v", rules, ours)
	}
}

func TestTheArchiveIsTheModuleWithItsLock(t *testing.T) {
	lock, err := lock{Version: "1.2.3", Files: map[string]lockedFile{"linux_amd64": {Name: "drayage", SHA256: "ab"}}}.encode()
	if err != nil {
		t.Fatal(err)
	}
	var archives [2][]byte
	for i := range archives {
		path := filepath.Join(t.TempDir(), "archive")
		if err := writeArchive(path, root, "drayage-1.2.3", map[string][]byte{lockPath: lock}); err != nil {
			t.Fatal(err)
		}
		if archives[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the same sources gave two archives")
	}

	compressed, err := gzip.NewReader(bytes.NewReader(archives[0]))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for reader := tar.NewReader(compressed); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(header.Name, "drayage-1.2.3/")] = string(content)
	}
	if files[lockPath] != string(lock) {
		t.Errorf("the lock in the archive is %s", files[lockPath])
	}
	for _, name := range []string{"MODULE.bazel", "go.mod", "rules/layer.bzl", "cmd/drayage/main.go", "e2e/smoke/MODULE.bazel"} {
		if files[name] == "" {
			t.Errorf("%s is not in the archive", name)
		}
	}
	for name := range files {
		if strings.Contains(name, "bazel-") || strings.HasPrefix(name, "cmd/drayaged") || strings.HasPrefix(name, ".") {
			t.Errorf("%s is in the archive", name)
		}
	}
}

func TestAReleaseIsOfTheVersionOfTheModule(t *testing.T) {
	version, err := moduleVersion(root)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^\d+\.\d+\.\d+`).MatchString(version) {
		t.Errorf("the version is %q", version)
	}
}
