package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
)

func TestAPrebuiltToolIsUsedInThePlaceOfOneFromSource(t *testing.T) {
	t.Parallel()
	w := rig.NewWorkspace(t)
	tool, err := os.ReadFile(rig.Drayage(t))
	check(t, err)
	check(t, os.WriteFile(filepath.Join(w.Dir, "tools", "drayage"), tool, 0o755))
	w.Write(t, "tools/BUILD.bazel", `exports_files(["drayage"])`)
	w.Write(t, "MODULE.bazel", w.Read(t, "MODULE.bazel")+`
drayage = use_extension("@drayage//rules:extensions.bzl", "drayage")
drayage.prebuilt(file = "//tools:drayage")
`)
	// Without Go on the path the tool cannot come from source.
	w.Env = append(w.Env, "PATH="+pathWithout(t, "go"))

	w.Bazel(t, "build", "//:push_prod", "--remote_download_outputs=toplevel")
	if spec := w.Read(t, "bazel-bin/push_prod.pushspec.json"); !strings.Contains(spec, `"target":"@@//:push_prod"`) {
		t.Errorf("the push spec is %s", spec)
	}
}

// Layers and images need the toolchain alone: what bazel run would execute is not
// made for them.
func TestAToolchainOfTheUsersIsTaken(t *testing.T) {
	t.Parallel()
	w := rig.NewWorkspace(t)
	tool, err := os.ReadFile(rig.Drayage(t))
	check(t, err)
	check(t, os.WriteFile(filepath.Join(w.Dir, "tools", "drayage"), tool, 0o755))
	w.Write(t, "tools/BUILD.bazel", `
load("@drayage//rules:toolchain.bzl", "drayage_toolchain")

drayage_toolchain(
    name = "drayage_tool",
    drayage = ":drayage",
)

toolchain(
    name = "drayage_toolchain",
    toolchain = ":drayage_tool",
    toolchain_type = "@drayage//rules:toolchain_type",
)
`)
	w.Write(t, "MODULE.bazel", w.Read(t, "MODULE.bazel")+`
register_toolchains("//tools:drayage_toolchain")
`)
	w.Env = append(w.Env, "PATH="+pathWithout(t, "go"))

	w.Bazel(t, "build", "//:prod", "//:staging")
	result := w.Bazel(t, "aquery", "--output=text", `mnemonic("ImageManifest", //:prod)`)
	if !strings.Contains(result.Stdout, "tools/drayage") {
		t.Errorf("the action is %s", result.Stdout)
	}
	failed := w.TryBazel(t, "build", "//:push_prod")
	if failed.ExitCode == 0 || !strings.Contains(failed.Stderr, "`go` is not on PATH") {
		t.Errorf("exit code %d\n%s", failed.ExitCode, failed.Stderr)
	}
}

// pathWithout is PATH less the folders that have a program.
func pathWithout(t *testing.T, program string) string {
	t.Helper()
	var left []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			left = append(left, dir)
		}
	}
	return strings.Join(left, string(filepath.ListSeparator))
}
