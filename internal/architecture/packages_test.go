package architecture

import (
	"bytes"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// module is a Go module, and everything that it is built of.
type module struct {
	path     string
	dir      string
	packages map[string]goPackage
}

// goPackage is what `go list` says of a package. Imports are those of its own files,
// without its tests'.
type goPackage struct {
	ImportPath string
	Dir        string
	Standard   bool
	Imports    []string
	GoFiles    []string
	CgoFiles   []string
	// What is compiled for tests alone, and what is for other systems.
	TestGoFiles    []string
	TestImports    []string
	XTestGoFiles   []string
	XTestImports   []string
	IgnoredGoFiles []string
	// Export is the file that tells a compiler what is in the package.
	Export string
}

// load lists the module in dir.
func load(t *testing.T, dir string) module {
	t.Helper()
	path := strings.TrimSpace(string(run(t, dir, "go", "list", "-m")))
	m := module{path: path, dir: dir, packages: map[string]goPackage{}}
	lookAt(t, dir)
	for _, p := range list(t, dir, "-deps", "./...") {
		m.packages[p.ImportPath] = p
	}
	return m
}

// list is what `go list` says.
func list(t *testing.T, dir string, args ...string) []goPackage {
	t.Helper()
	const fields = "-json=ImportPath,Dir,Standard,Imports,GoFiles,CgoFiles,TestGoFiles,TestImports,XTestGoFiles,XTestImports,IgnoredGoFiles,Export"
	decoder := jsontext.NewDecoder(bytes.NewReader(run(t, dir, "go", append([]string{"list", fields}, args...)...)))
	var packages []goPackage
	for {
		var p goPackage
		if err := json.UnmarshalDecode(decoder, &p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// lookAt looks at every Go file below dir, so that go test knows that its cached result
// depends on them: what go list reads, it does not see.
func lookAt(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != dir {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".go" || entry.Name() == "go.mod" {
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = dir
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, stderr.String())
	}
	return out
}

// folder is where a package of the module is, seen from the module's root. It is "" for
// a package of others.
func (m module) folder(path string) string {
	folder, ours := strings.CutPrefix(path, m.path+"/")
	if !ours {
		return ""
	}
	return folder
}

// resolve makes an import path of a name in the page: a folder of the module, or a
// package of others.
func (m module) resolve(name string) string {
	for path := range m.packages {
		if folder := m.folder(path); folder != "" && within(folder, name) {
			return m.path + "/" + name
		}
	}
	return name
}

// within tells whether a folder or package is the other one, or below it.
func within(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+"/")
}

// forTests tells whether a folder holds test helpers, end-to-end tests or benches. They
// may import what they like.
func forTests(folder string) bool {
	return slices.ContainsFunc(strings.Split(folder, "/"), func(name string) bool {
		return name == "e2e" || name == "bench" || strings.HasSuffix(name, "test")
	})
}

// statement is where a package imports another: file:line.
func (m module) statement(from, to string) string {
	p := m.packages[from]
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.ImportsOnly)
		if err != nil {
			continue
		}
		for _, spec := range file.Imports {
			if path, _ := strconv.Unquote(spec.Path.Value); path == to {
				return fmt.Sprintf("%s/%s:%d", m.folder(from), name, files.Position(spec.Pos()).Line)
			}
		}
	}
	return m.folder(from)
}
