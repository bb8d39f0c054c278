package e2e_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
)

var starlarkBlock = regexp.MustCompile("(?ms)^```starlark\n# (MODULE|BUILD).bazel\n(.*?)^```$")

// TestTheExamplesOfTheMigrationGuideBuild puts what docs/migration.md says that
// one has afterwards into a workspace, each example as a package.
func TestTheExamplesOfTheMigrationGuideBuild(t *testing.T) {
	t.Parallel()
	registry := rig.StartRegistry(t)
	digest, _ := pushBase(t, registry.Host)
	w := rig.NewWorkspace(t)
	module := w.Read(t, "MODULE.bazel") + `
bazel_dep(name = "platforms", version = "0.0.10")
pull = use_repo_rule("@drayage//rules:pull.bzl", "pull")
`
	var packages []string
	for _, block := range starlarkBlock.FindAllStringSubmatch(readPage(t, rig.Root(t), "docs/migration.md"), -1) {
		file, text := block[1], block[2]
		if !strings.Contains(text, "drayage") {
			continue // how it was before
		}
		if file == "MODULE" {
			packages = append(packages, fmt.Sprintf("example%d", len(packages)))
		}
		name := packages[len(packages)-1]
		text = strings.NewReplacer(
			`name = "ubuntu"`, `name = "`+name+`"`, "@ubuntu", "@"+name, "library/ubuntu", "library/base",
			"index.docker.io", registry.Host, "mirror.example", registry.Host, "sha256:1e622c5f073b4f6bfad6632f2616c7f59ef256e96fe78bf6a595d1dc4376ac02", digest,
		).Replace(text)
		if file == "MODULE" {
			_, pulls, _ := strings.Cut(text, "\npull(")
			module += "pull(" + pulls
		} else {
			w.Write(t, name+"/BUILD.bazel", text)
		}
	}
	if len(packages) != 2 {
		t.Fatalf("the guide has %d examples", len(packages))
	}
	w.Write(t, "MODULE.bazel", module)
	w.Write(t, "cmd/server/BUILD.bazel", `exports_files(["server"], visibility = ["//visibility:public"])`)
	w.Write(t, "cmd/server/server", "#!/bin/sh\n")
	w.Write(t, "configs/BUILD.bazel", `exports_files(["prod"], visibility = ["//visibility:public"])`)
	w.Write(t, "configs/prod", "greeting = hello\n")
	w.Write(t, "platforms/BUILD.bazel", `
package(default_visibility = ["//visibility:public"])
platform(name = "linux_amd64", constraint_values = ["@platforms//os:linux", "@platforms//cpu:x86_64"])
platform(name = "linux_arm64", constraint_values = ["@platforms//os:linux", "@platforms//cpu:aarch64"])
`)
	targets := []string{"--remote_download_outputs=all"}
	for _, name := range packages {
		targets = append(targets, "//"+name+":push")
	}
	w.Bazel(t, "build", targets...)
	for i, want := range [][]string{{`git-{BUILD_SCM_REVISION}`, `"architecture":"arm64"`}, {`{TEAM}/app`}} {
		spec := w.Read(t, "bazel-bin/"+packages[i]+"/push.pushspec.json")
		for _, text := range want {
			if !strings.Contains(spec, text) {
				t.Errorf("the push spec of example %d has no %s:\n%s", i, text, spec)
			}
		}
	}
}
