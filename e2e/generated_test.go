package e2e_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
)

// The generator runs on a copy of the sources without their generated Go, so
// that a file that nothing generates any more is found too. The copy lies in the
// module, whose go.mod pins the generator.
func TestGeneratedGoIsWhatItsSourcesSay(t *testing.T) {
	t.Parallel()
	checkedIn := filepath.Join(rig.Root(t), "proto")
	copied, err := os.MkdirTemp(filepath.Join(rig.Root(t), ".cache"), "generated-") //nolint:usetesting // it must lie in the module
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(copied) })
	generated := goFiles(t, checkedIn)
	copySources(t, copied, checkedIn)

	cmd := exec.CommandContext(t.Context(), rig.Tool(t, "buf"), "generate")
	cmd.Dir = copied
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("buf generate: %v\n%s", err, output)
	}

	fresh := goFiles(t, copied)
	if len(fresh) == 0 {
		t.Fatal("buf generated nothing")
	}
	for name, text := range fresh {
		if generated[name] != text {
			t.Errorf("proto/%s is not what its .proto says: run `make generate`", name)
		}
	}
	for name := range generated {
		if _, ok := fresh[name]; !ok {
			t.Errorf("proto/%s is generated from nothing: remove it", name)
		}
	}
}

// goFiles are the generated files below dir, by their path in it.
func goFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	walk(t, dir, func(path, name string) {
		if !strings.HasSuffix(name, ".pb.go") {
			return
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	})
	return files
}

func copySources(t *testing.T, to, from string) {
	t.Helper()
	walk(t, from, func(path, name string) {
		if filepath.Ext(name) == ".go" {
			return
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, text, 0o644); err != nil {
			t.Fatal(err)
		}
	})
}

// walk visits the files below dir.
func walk(t *testing.T, dir string, visit func(path, name string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err == nil {
			visit(path, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
