package e2e_test

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

// A version is pushed once; the build says so, or the daemon's policy.
func TestATagThatIsNeverWrittenOverStays(t *testing.T) {
	t.Parallel()
	s := &scene{cache: rig.StartBazelRemote(t), registry: rig.StartProxy(t, rig.StartRegistry(t).Host)}
	s.daemon = rig.StartDrayaged(t, rig.DaemonConfig{CAS: s.cache.GRPC, More: map[string]any{"policy": map[string]any{
		"rules": []map[string]any{{"name": "all", "never_overwrite": []string{"release-*"}}},
	}, "registries": []map[string]any{{"host": s.registry.Host}}}})
	s.workspace = rig.NewWorkspace(t)
	s.workspace.Write(t, "BUILD.bazel", s.workspace.Read(t, "BUILD.bazel")+`
[
    image_push(
        name = "push_" + name,
        image = ":prod",
        overwrite = overwrite,
        registry = "registry.example",
        repository = "acme/" + name,
        tag = tag,
        tag_list = ["latest"],
    )
    for name, tag, overwrite in [("by_build", "v1", "never"), ("by_policy", "release-1", "always")]
]
`)
	targets := []string{"//:push_by_build", "//:push_by_policy"}
	first := s.push(t, targets...)
	for _, target := range targets {
		wantPushed(t, first, target)
	}
	// Nothing new is no failure.
	for target, row := range s.push(t, targets...) {
		if row.Outcome != ledger.Present {
			t.Errorf("%s again: %s: %s", target, row.Outcome, row.Error)
		}
	}

	s.workspace.Write(t, "config/prod", "greeting = another\n")
	second := s.push(t, targets...)
	for target, tag := range map[string]string{"//:push_by_build": "v1", "//:push_by_policy": "release-1"} {
		before, row := first[target], second[target]
		if row.Outcome != ledger.Denied || row.ErrorClass != "taken" || row.Attempts != 1 || row.Digest == before.Digest {
			t.Errorf("%s: %s (%s) after %d attempts: %s", target, row.Outcome, row.ErrorClass, row.Attempts, row.Error)
		}
		for _, want := range []string{"tag " + tag + " points to " + before.Digest, "this image is " + row.Digest} {
			if !strings.Contains(row.Error, want) {
				t.Errorf("%s: the error does not say %q: %s", target, want, row.Error)
			}
		}
		for _, tag := range []string{tag, "latest"} {
			found, err := remote.Head(taggedAs(t, s.registry.Host+"/"+row.Repository+":"+tag))
			check(t, err)
			if found.Digest.String() != before.Digest {
				t.Errorf("%s: tag %s moved to %s", target, tag, found.Digest)
			}
		}
	}
}

// What no registry takes as a name fails in the build.
func TestANameThatNoRegistryTakesFailsInTheBuild(t *testing.T) {
	t.Parallel()
	w := rig.NewWorkspace(t)
	w.Write(t, "BUILD.bazel", w.Read(t, "BUILD.bazel")+`
[
    image_push(
        name = name,
        image = ":prod",
        registry = registry,
        repository = repository,
        tag = tag,
    )
    for name, registry, repository, tag in [
        ("no_dot", "registry", "acme/app", "v1"),
        ("upper", "GHCR.io", "acme/app", "v1"),
        ("scheme", "https://ghcr.io", "acme/app", "v1"),
        ("bad_repository", "ghcr.io", "{TEAM}/App", "v1"),
        ("bad_tag", "ghcr.io", "acme/app", "{BRANCH}/v1"),
    ]
]
`)
	for target, words := range map[string][]string{
		"//:no_dot":         {"destination.registry", `"registry" must be a host`, "neither a dot nor a port", "attribute registry"},
		"//:upper":          {"destination.registry", "upper case letters"},
		"//:scheme":         {"destination.registry", "a scheme"},
		"//:bad_repository": {"destination.repository", "must be a repository name", "attribute repository"},
		"//:bad_tag":        {"destination.tags[0]", "must be a tag", "attribute tag"},
	} {
		result := w.TryBazel(t, "build", target)
		if result.ExitCode == 0 {
			t.Errorf("%s was built", target)
		}
		for _, word := range append(words, target) {
			if !strings.Contains(result.Stderr, word) {
				t.Errorf("%s: the build does not say %q:\n%s", target, word, result.Stderr)
			}
		}
	}
}
