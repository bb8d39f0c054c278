package e2e_test

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/pushspec"
)

const sbomType = "application/spdx+json"

// The image has no image_push of its own, and an artifact goes with another's.
func TestArtifactsAndImagesWithoutATargetOfTheirOwnArePushed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.workspace.Write(t, "sbom.spdx.json", `{"spdxVersion": "SPDX-2.3"}`)
	s.workspace.Replace(t, "BUILD.bazel", `"image_manifest"`, `"image_artifact", "image_index", "image_manifest"`)
	s.workspace.Write(t, "BUILD.bazel", s.workspace.Read(t, "BUILD.bazel")+`
image_artifact(
    name = "sbom",
    artifact_type = "`+sbomType+`",
    files = {"sbom.spdx.json": ""},
    annotations = {"tool": "by hand"},
)

image_push(
    name = "push_with_sbom",
    image = ":prod",
    referrers = [":sbom"],
    registry = "registry.example",
    repository = "acme/with-sbom",
    tag = "latest",
)

image_manifest(
    name = "own",
    layers = [":server_layer"],
    push_specs = [
        "registry.example/acme/own:latest",
        "registry.example/acme/own:git-{BUILD_SCM_REVISION}",
        "registry.example/acme/elsewhere",
    ],
)

image_index(
    name = "own_index",
    manifests = [":prod"],
    push_specs = ["registry.example/acme/own-index:latest"],
)
`)
	result := s.build(t, "//:push_with_sbom", "//:own", "//:own_index")
	s.daemon.WaitPushed(t, result.Invocation, pushLimit)

	subject, err := name.NewTag(s.registry.Host + "/acme/with-sbom:latest")
	check(t, err)
	image, err := remote.Get(subject)
	check(t, err)
	found, err := remote.Referrers(subject.Context().Digest(image.Digest.String()))
	check(t, err)
	listed, err := found.IndexManifest()
	check(t, err)
	if len(listed.Manifests) != 1 || listed.Manifests[0].ArtifactType != sbomType || listed.Manifests[0].Annotations["tool"] != "by hand" {
		t.Fatalf("the registry lists these referrers: %+v", listed.Manifests)
	}
	artifact, err := remote.Image(subject.Context().Digest(listed.Manifests[0].Digest.String()))
	check(t, err)
	layers, err := artifact.Layers()
	check(t, err)
	content, err := layers[0].Compressed()
	check(t, err)
	text, err := io.ReadAll(content)
	check(t, err)
	if !strings.Contains(string(text), "SPDX-2.3") {
		t.Errorf("the bill of materials is %q", text)
	}

	digest := map[string]v1.Hash{}
	for _, reference := range []string{"own:latest", "own:git-0123456789abcdef0123456789abcdef01234567", "own-index:latest"} {
		served, err := remote.Get(taggedAs(t, s.registry.Host+"/acme/"+reference))
		check(t, err)
		digest[reference] = served.Digest
	}
	own := digest["own:latest"]
	if own != digest["own:git-0123456789abcdef0123456789abcdef01234567"] {
		t.Errorf("the tags lead to %v", digest)
	}
	if _, err := remote.Get(taggedAs(t, s.registry.Host+"/acme/elsewhere@"+own.String())); err != nil {
		t.Errorf("the image is not where no tag was asked for: %v", err)
	}
}

// Builds are reproducible: what is new is often only what comes with an image.
func TestAnArtifactThatIsNewOnAnImageThatIsNotIsPushed(t *testing.T) {
	t.Parallel()
	for name, start := range realRegistries {
		t.Run(name, func(t *testing.T) {
			cache, target := rig.StartBazelRemote(t), start(t)
			spec := faultyImage(t, cache, target.Host, "acme/app", "v1", faultyNoise(1, 1000))
			haulAll(t, faultyHauler(t, cache.GRPC), []*pushspec.Spec{spec})
			for _, artifact := range []string{sbomType, "application/x.signature"} {
				file := rig.CacheWriter{T: t, Cache: cache}
				rig.AddReferrer(t, spec, artifact, file.Put(artifact, 100))
				file.Flush()
				// Each time it is another process that pushes.
				haulAll(t, faultyHauler(t, cache.GRPC), []*pushspec.Spec{spec})
				wantThere(t, target.Host, spec)
				if err := whole(t.Context(), target.Host, rig.FleetImage{Repository: "acme/app", Digest: spec.Root.String(), Spec: spec}); err != nil {
					t.Errorf("with %s: %v", artifact, err)
				}
			}
		})
	}
}
