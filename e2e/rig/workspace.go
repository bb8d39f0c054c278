package rig

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Workspace is a copy of a Bazel workspace of e2e that uses the checkout's
// rules.
type Workspace struct {
	// Dir is the workspace's folder.
	Dir string
	// Env is added to Bazel's environment.
	Env []string
	// Startup is added to Bazel's startup options.
	Startup []string
	// Progress, if set, wraps the writer of Bazel's messages for people, to show
	// them while they are written.
	Progress func(io.Writer) io.Writer

	outputBase string
	// noLinks leaves Bazel's links to its outputs out of the folder.
	noLinks bool
}

// NewWorkspace copies e2e/workspace into a temporary folder.
func NewWorkspace(t T) *Workspace {
	t.Helper()
	return CopyWorkspace(t, filepath.Join(Root(t), "e2e", "workspace"))
}

// CopyWorkspace copies a workspace folder of the checkout into a temporary
// folder. Its local_path_override of drayage, relative to where it stood, is
// pointed at the checkout.
func CopyWorkspace(t T, from string) *Workspace {
	t.Helper()
	dir := TempDir(t)
	w := &Workspace{Dir: filepath.Join(dir, "workspace"), outputBase: filepath.Join(dir, "output")}
	if err := copyTree(w.Dir, from); err != nil {
		t.Fatalf("copy %s: %v", from, err)
	}
	up, err := filepath.Rel(from, Root(t))
	if err != nil {
		t.Fatalf("copy %s: %v", from, err)
	}
	w.Replace(t, "MODULE.bazel", `"`+up+`"`, `"`+Root(t)+`"`)
	t.Cleanup(func() { w.shutdown(t) })
	return w
}

// copyTree copies files and folders; what Bazel's convenience links point to is
// left out.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o755)
		case entry.Type()&fs.ModeSymlink != 0 && strings.HasPrefix(relative, "bazel-"):
			return nil
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, info.Mode().Perm()|0o600)
	})
}

// Write writes a file of the workspace.
func (w *Workspace) Write(t T, name, text string) {
	t.Helper()
	path := filepath.Join(w.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatalf("write %s: %v", name, err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatalf("write %s: %v", name, err)
	}
}

// Read reads a file of the workspace.
func (w *Workspace) Read(t T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.Dir, name))
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return string(text)
}

// Replace replaces every occurrence of a text in a file of the workspace, of
// which there must be one.
func (w *Workspace) Replace(t T, name, old, text string) {
	t.Helper()
	before := w.Read(t, name)
	if !strings.Contains(before, old) {
		t.Fatalf("replace in %s: there is no %s in it", name, old)
	}
	w.Write(t, name, strings.ReplaceAll(before, old, text))
}

// ReplaceAll replaces a text in every file of the workspace that has it.
func (w *Workspace) ReplaceAll(t T, old, text string) {
	t.Helper()
	found := false
	err := filepath.WalkDir(w.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(data), old) {
			return err
		}
		found = true
		return os.WriteFile(path, []byte(strings.ReplaceAll(string(data), old, text)), 0o644)
	})
	if err != nil {
		t.Fatalf("replace %s: %v", old, err)
	}
	if !found {
		t.Fatalf("replace %s: no file has it", old)
	}
}
