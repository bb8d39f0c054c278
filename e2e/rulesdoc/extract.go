package rulesdoc

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/drayage/drayage/e2e/rig"
)

// Reference is everything that there is to document.
type Reference struct {
	// Modules are the public files, in the order of their names.
	Modules []Module
	// Settings are the build flags below rules/settings, in the order of their names.
	Settings []Setting
}

// Extract has Bazel read every public .bzl file of the checkout, and the settings.
func Extract(t rig.T) Reference {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(rig.Root(t), "rules", "*.bzl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("find the public .bzl files: there are none (%v)", err)
	}
	var build strings.Builder
	for i, path := range files {
		files[i] = filepath.Base(path)
		fmt.Fprintf(&build, "starlark_doc_extract(name = %[1]q, src = %[2]q, deps = [%[3]q])\n",
			stem(files[i]), "@drayage//rules:"+files[i], "@drayage//rules:"+stem(files[i]))
	}
	w := rig.NewWorkspace(t)
	w.Write(t, "reference/BUILD.bazel", build.String())
	w.Bazel(t, "build", "//reference:all")

	var reference Reference
	for _, file := range files {
		module, err := decodeModule(file, []byte(w.Read(t, filepath.Join("bazel-bin", "reference", stem(file)+".binaryproto"))))
		if err != nil {
			t.Fatalf("%v", err)
		}
		reference.Modules = append(reference.Modules, module)
	}
	reference.Settings = settings(t, w)
	return reference
}

// stem is a file's name without .bzl, the name of its target and its page.
func stem(file string) string { return strings.TrimSuffix(file, ".bzl") }
