package image_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/image"
	"github.com/drayage/drayage/internal/layer"
	"github.com/drayage/drayage/pushspec"
)

func hash(c string) v1.Hash { return v1.Hash{Algorithm: "sha256", Hex: strings.Repeat(c, 64)} }

func layerOf(c string) layer.Metadata {
	return layer.Metadata{
		Blob: pushspec.Blob{
			Descriptor: v1.Descriptor{MediaType: types.OCILayer, Digest: hash(c), Size: 100},
			Sources:    []pushspec.Source{{CAS: hash(c).String()}},
		},
		DiffID: hash(c),
	}
}

func assemble(t *testing.T, spec image.Spec) (image.Image, *v1.Manifest, *v1.ConfigFile) {
	t.Helper()
	made, err := image.Assemble(spec)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(made.Manifest))
	if err != nil {
		t.Fatal(err)
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(made.Config))
	if err != nil {
		t.Fatal(err)
	}
	return made, manifest, config
}

func TestImageWithoutBaseIsExactlyThis(t *testing.T) {
	made, _, _ := assemble(t, image.Spec{
		Layers:     []layer.Metadata{layerOf("a")},
		Platform:   "linux/arm64/v8",
		Entrypoint: []string{"/app"},
		Cmd:        []string{"serve"},
		Env:        []string{"A=1"},
		Labels:     map[string]string{"b": "2", "a": "1&2"},
		User:       "nobody",
		WorkingDir: "/srv",
	})
	a := strings.Repeat("a", 64)
	wantConfig := `{"architecture":"arm64","created":"1970-01-01T00:00:00Z","history":[{"created":"1970-01-01T00:00:00Z","created_by":"drayage"}],` +
		`"os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:` + a + `"]},` +
		`"config":{"Cmd":["serve"],"Entrypoint":["/app"],"Env":["A=1"],"Labels":{"a":"1&2","b":"2"},"User":"nobody","WorkingDir":"/srv"},"variant":"v8"}`
	if got := string(made.Config); got != wantConfig {
		t.Errorf("config is\n%s\nwant\n%s", got, wantConfig)
	}
	config := image.Describe("", made.Config)
	wantManifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":%d,"digest":"%s"},`+
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":100,"digest":"sha256:%s"}]}`, config.Size, config.Digest, a)
	if got := string(made.Manifest); got != wantManifest {
		t.Errorf("manifest is\n%s\nwant\n%s", got, wantManifest)
	}
}

func TestImageInheritsFromItsBase(t *testing.T) {
	base, _, _ := assemble(t, image.Spec{
		Layers:     []layer.Metadata{layerOf("a")},
		Platform:   "linux/arm64",
		Entrypoint: []string{"/base"},
		Cmd:        []string{"old"},
		Env:        []string{"PATH=/bin", "HOME=/"},
		Labels:     map[string]string{"kept": "1", "changed": "old"},
		User:       "root",
		WorkingDir: "/base",
	})
	_, manifest, config := assemble(t, image.Spec{
		Base:       &image.Base{Manifest: base.Manifest, Config: base.Config},
		Layers:     []layer.Metadata{layerOf("b")},
		Platform:   "linux/amd64",
		Entrypoint: []string{"/app"},
		Env:        []string{"PATH=/app:/bin", "NEW=1"},
		Labels:     map[string]string{"changed": "new"},
	})
	want := v1.Config{
		Entrypoint: []string{"/app"},
		Env:        []string{"PATH=/app:/bin", "HOME=/", "NEW=1"},
		Labels:     map[string]string{"kept": "1", "changed": "new"},
		User:       "root",
		WorkingDir: "/base",
	}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if config.Architecture != "arm64" {
		t.Errorf("architecture is %s, want the base's", config.Architecture)
	}
	if diff := cmp.Diff([]v1.Hash{hash("a"), hash("b")}, config.RootFS.DiffIDs); diff != "" {
		t.Errorf("diff ids (-want +got):\n%s", diff)
	}
	if len(manifest.Layers) != 2 || manifest.Layers[0].Digest != hash("a") || len(config.History) != 2 {
		t.Errorf("%d layers, %d of history", len(manifest.Layers), len(config.History))
	}
}

func TestWhatTheConfigHoldsIsAddedToTheBases(t *testing.T) {
	base, _, _ := assemble(t, image.Spec{
		Platform: "linux/amd64", Env: []string{"PATH=/bin", "HOME=/"}, ExposedPorts: []string{"80"}, Volumes: []string{"/data"}, StopSignal: "SIGTERM",
	})
	_, _, config := assemble(t, image.Spec{
		Base: &image.Base{Manifest: base.Manifest, Config: base.Config},
		Env:  []string{"PATH=/app/bin:${PATH}", "WHERE=${HOME}x${NONE}", "COST=$5"}, ExposedPorts: []string{"53/udp", "80/tcp"}, Volumes: []string{"/logs"},
		Created: time.Date(2026, 1, 31, 13, 0, 0, 0, time.FixedZone("", 3600)),
	})
	want := v1.Config{
		Env:          []string{"PATH=/app/bin:/bin", "HOME=/", "WHERE=/x", "COST=$5"},
		ExposedPorts: map[string]struct{}{"80/tcp": {}, "53/udp": {}},
		Volumes:      map[string]struct{}{"/data": {}, "/logs": {}},
		StopSignal:   "SIGTERM",
	}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if got := config.Created.Format(time.RFC3339); got != "2026-01-31T12:00:00Z" {
		t.Errorf("created at %s", got)
	}
	if _, err := image.Assemble(image.Spec{Platform: "linux/amd64", ExposedPorts: []string{"http"}}); err == nil || !strings.Contains(err.Error(), `exposed port "http"`) {
		t.Errorf("error is %v", err)
	}
}

func TestDockerBaseBecomesOCI(t *testing.T) {
	base, manifest, _ := assemble(t, image.Spec{Layers: []layer.Metadata{layerOf("a")}, Platform: "linux/amd64"})
	manifest.MediaType = types.DockerManifestSchema2
	manifest.Config.MediaType = types.DockerConfigJSON
	manifest.Layers[0].MediaType = types.DockerLayer
	docker, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	_, made, _ := assemble(t, image.Spec{Base: &image.Base{Manifest: docker, Config: base.Config}})
	if made.MediaType != types.OCIManifestSchema1 || made.Config.MediaType != types.OCIConfigJSON || made.Layers[0].MediaType != types.OCILayer {
		t.Errorf("media types are %s, %s, %s", made.MediaType, made.Config.MediaType, made.Layers[0].MediaType)
	}
}

func TestBaseOfTwoHalvesIsRefused(t *testing.T) {
	one, _, _ := assemble(t, image.Spec{Platform: "linux/amd64", User: "a"})
	two, _, _ := assemble(t, image.Spec{Platform: "linux/amd64", User: "b"})
	_, err := image.Assemble(image.Spec{Base: &image.Base{Manifest: one.Manifest, Config: two.Config}})
	if err == nil || !strings.Contains(err.Error(), "take both from one image") {
		t.Errorf("error is %v", err)
	}
}

func TestPushSpecSaysWhereEveryLayerIs(t *testing.T) {
	layers := []layer.Metadata{layerOf("a"), layerOf("b"), layerOf("a")}
	made, manifest, _ := assemble(t, image.Spec{Layers: layers, Platform: "linux/amd64"})
	push := image.Push{
		Target: "@@//app:push", Destination: pushspec.Destination{Registry: "ghcr.io", Repository: "acme/app"},
		Images: []image.Image{made}, Layers: layers,
	}
	spec, err := image.PushSpec(push)
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	if len(spec.Blobs) != 3 { // the config, and two layers of which one is there twice
		t.Errorf("there are %d blobs", len(spec.Blobs))
	}
	if spec.Blobs[0].Digest != manifest.Config.Digest {
		t.Errorf("the first blob is %s, want the config", spec.Blobs[0].Digest)
	}
	push.Layers = layers[:1]
	_, err = image.PushSpec(push)
	if err == nil || !strings.Contains(err.Error(), "no metadata tells where to get layer 1") {
		t.Errorf("error is %v", err)
	}
}

func TestALayerThatIsNotToBeDistributedNeedsNoSource(t *testing.T) {
	base := baseOf(t, []byte(`{"os":"windows","architecture":"amd64",`+oneLayer+`}`))
	base.Manifest = bytes.Replace(base.Manifest, []byte(`"`+types.DockerLayer+`"`), []byte(`"`+types.DockerForeignLayer+`","urls":["https://layers.example/1"]`), 1)
	layers := []layer.Metadata{layerOf("a")}
	made, manifest, _ := assemble(t, image.Spec{Base: base, Layers: layers})
	want := v1.Descriptor{MediaType: types.OCIRestrictedLayer, Digest: hash("1"), Size: 100, URLs: []string{"https://layers.example/1"}}
	if diff := cmp.Diff(want, manifest.Layers[0]); diff != "" {
		t.Errorf("layer (-want +got):\n%s", diff)
	}
	spec, err := image.PushSpec(image.Push{
		Target: "@@//app:push", Destination: pushspec.Destination{Registry: "ghcr.io", Repository: "acme/app"}, Images: []image.Image{made}, Layers: layers,
	})
	if err != nil {
		t.Fatal(err)
	}
	data, err := spec.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if spec, err = pushspec.Decode(data); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(pushspec.Blob{Descriptor: want}, spec.Blobs[1]); diff != "" {
		t.Errorf("blob (-want +got):\n%s", diff)
	}
}

func TestAnIndexIsPushedWithTheImagesItLists(t *testing.T) {
	shared := []layer.Metadata{layerOf("a")}
	amd64, _, _ := assemble(t, image.Spec{Layers: shared, Platform: "linux/amd64"})
	arm64, _, _ := assemble(t, image.Spec{Layers: append(shared, layerOf("b")), Platform: "linux/arm64/v8"})
	index, err := image.Index([]image.Image{amd64, arm64}, map[string]string{"a": "1"})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := v1.ParseIndexManifest(bytes.NewReader(index))
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, d := range parsed.Manifests {
		platforms = append(platforms, d.Platform.String())
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64/v8"}, platforms); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
	spec, err := image.PushSpec(image.Push{
		Target: "@@//app:push", Destination: pushspec.Destination{Registry: "ghcr.io", Repository: "acme/app", Tags: []string{"v1"}},
		Images: []image.Image{amd64, arm64}, Index: index, Layers: append(shared, layerOf("b")),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	if spec.Root != image.Describe("", index).Digest || len(spec.Manifests) != 3 || len(spec.Blobs) != 4 {
		t.Errorf("root is %s, with %d manifests and %d blobs", spec.Root, len(spec.Manifests), len(spec.Blobs))
	}
}

func TestAnIndexHasOneImageAPlatform(t *testing.T) {
	one, _, _ := assemble(t, image.Spec{Platform: "linux/amd64", User: "a"})
	two, _, _ := assemble(t, image.Spec{Platform: "linux/amd64", User: "b"})
	_, err := image.Index([]image.Image{one, two}, nil)
	if err == nil || !strings.Contains(err.Error(), "two images are for linux/amd64") {
		t.Errorf("error is %v", err)
	}
}
