package e2e_test

import (
	"strings"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/pushspec"
)

const gateSetting = "--@drayage//rules/settings:gate="

// gateWorkspace has targets that say what their gate is, and some that do not.
func gateWorkspace(t *testing.T) *rig.Workspace {
	t.Helper()
	w := rig.NewWorkspace(t)
	w.Write(t, "BUILD.bazel", strings.ReplaceAll(w.Read(t, "BUILD.bazel"), `"image_manifest"`, `"image_from_binary", "image_index", "image_manifest"`)+`
[
    image_push(
        name = "push_" + gate,
        also_to = ["mirror.example/acme/" + gate],
        gate = gate,
        image = ":prod",
        registry = "registry.example",
        repository = "acme/" + gate,
        tag = "v1",
    )
    for gate in ["pushed", "green", "approved"]
]

image_index(
    name = "index",
    manifests = [":prod"],
    push_gate = "green",
    push_specs = ["registry.example/acme/index:v1"],
)

image_from_binary(
    name = "both",
    binary = "//server",
    platforms = ["@bazel_tools//tools:host_platform"],
    push_gate = "approved",
    push_specs = ["registry.example/acme/both:v1"],
)
`)
	return w
}

func TestTheGateOfATargetAndOfTheBuildIsInTheSpec(t *testing.T) {
	t.Parallel()
	w := gateWorkspace(t)
	specs := []string{"push_prod", "push_pushed", "push_green", "push_green.2", "push_approved", "index.1", "both.1"}
	plain := ""
	for _, build := range []struct {
		flag string
		want []pushspec.Gate // of the specs, in their order
	}{
		{"", []pushspec.Gate{"", "", "green", "green", "approved", "green", "approved"}},
		{gateSetting + "green", []pushspec.Gate{"green", "green", "green", "green", "approved", "green", "approved"}},
		{gateSetting + "approved", []pushspec.Gate{"approved", "approved", "approved", "approved", "approved", "approved", "approved"}},
		{gateSetting + "pushed", []pushspec.Gate{"", "", "green", "green", "approved", "green", "approved"}},
	} {
		flags := []string{"--remote_download_toplevel", "//:all"}
		if build.flag != "" {
			flags = append(flags, build.flag)
		}
		w.Bazel(t, "build", flags...)
		for i, name := range specs {
			text := w.Read(t, "bazel-bin/"+name+".pushspec.json")
			spec, err := pushspec.Decode([]byte(text))
			check(t, err)
			want := build.want[i]
			if spec.Destination.Gate != want || (spec.SchemaVersion == 2) != (want != "") {
				t.Errorf("%s: the spec of %s is of version %d with the gate %q, want %q", build.flag, name, spec.SchemaVersion, spec.Destination.Gate, want)
			}
			if name != "push_prod" || want != "" {
				continue
			}
			if plain == "" {
				plain = text
			}
			if text != plain {
				t.Errorf("%s: a spec without a gate is\n%s\nwant\n%s", build.flag, text, plain)
			}
		}
	}
	result := w.TryBazel(t, "build", gateSetting+"red", "//:push_prod")
	if result.ExitCode == 0 || !strings.Contains(result.Stderr, "invalid value 'red'") {
		t.Errorf("a gate that is none: exit code %d\n%s", result.ExitCode, result.Stderr)
	}
}

func TestBazelRunMindsTheGate(t *testing.T) {
	t.Parallel()
	registry := rig.StartRegistry(t)
	w := gateWorkspace(t)
	run := func(target string, more ...string) rig.BazelResult {
		flags := append([]string{"--remote_download_toplevel", "--@drayage//rules/settings:registry=" + registry.Host, target}, more...)
		return w.TryBazel(t, "run", flags...)
	}

	for _, strategy := range []string{"lazy", "eager"} {
		flag := "--@drayage//rules/settings:push_strategy=" + strategy
		// The build went well, or nothing would run.
		if result := run("//:push_green", flag, "--output_groups=+blobs"); result.ExitCode != 0 || !strings.Contains(result.Stdout, "tags: v1") {
			t.Errorf("green, %s: exit code %d, printed %q\n%s", strategy, result.ExitCode, result.Stdout, result.Stderr)
		}
		result := run("//:push_approved", flag, "--output_groups=+blobs")
		if result.ExitCode == 0 || !strings.Contains(result.Stderr, "nothing was pushed: the gate of @@//:push_approved is approved") || !strings.Contains(result.Stderr, "--approved") {
			t.Errorf("approved, %s: exit code %d, printed %q\n%s", strategy, result.ExitCode, result.Stdout, result.Stderr)
		}
	}
	if result := run("//:push_approved", "--output_groups=+blobs", "--", "--approved"); result.ExitCode != 0 {
		t.Errorf("approved on the command line: exit code %d\n%s", result.ExitCode, result.Stderr)
	}
	rig.PullImage(t, registry.Host+"/acme/approved:v1")

	const daemon = "--@drayage//rules/settings:push_strategy=bes"
	for target, want := range map[string]string{
		"//:push_prod":     "",
		"//:push_green":    "tags wait until all that this build pushes is in its registry. 'drayage wait INVOCATION' waits",
		"//:push_approved": "somebody runs 'drayage promote INVOCATION'",
	} {
		result := run(target, daemon)
		if result.ExitCode != 0 || !strings.Contains(result.Stderr, "The daemon at --bes_backend pushes this image") {
			t.Errorf("%s: exit code %d\n%s", target, result.ExitCode, result.Stderr)
		}
		if strings.Contains(result.Stderr, "The gate is ") != (want != "") || !strings.Contains(result.Stderr, want) {
			t.Errorf("%s: printed\n%s\nwant %s", target, result.Stderr, want)
		}
	}
}
