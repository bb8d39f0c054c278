package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/e2e/rig"
)

// raw is a manifest as it is.
type raw struct {
	data      []byte
	mediaType types.MediaType
}

func (r raw) RawManifest() ([]byte, error) { return r.data, nil }

func (r raw) MediaType() (types.MediaType, error) { return r.mediaType, nil }

// pushConfig pushes an image with a config that somebody's tool wrote, and layers of
// these media types, as docker does. It returns the digest.
func pushConfig(t *testing.T, registry, repository string, config []byte, layers ...types.MediaType) string {
	t.Helper()
	repo, err := name.NewRepository(registry + "/" + repository)
	check(t, err)
	var descriptors []v1.Descriptor
	for i, mediaType := range append([]types.MediaType{types.DockerConfigJSON}, layers...) {
		layer := static.NewLayer(config, mediaType)
		if i > 0 {
			layer = static.NewLayer(fmt.Appendf(nil, "layer %d", i), mediaType)
		}
		check(t, remote.WriteLayer(repo, layer))
		d, err := partial.Descriptor(layer)
		check(t, err)
		descriptors = append(descriptors, *d)
	}
	data, err := json.Marshal(v1.Manifest{SchemaVersion: 2, MediaType: types.DockerManifestSchema2, Config: descriptors[0], Layers: descriptors[1:]})
	check(t, err)
	check(t, remote.Put(repo.Tag("1"), raw{data, types.DockerManifestSchema2}))
	digest, _, err := v1.SHA256(bytes.NewReader(data))
	check(t, err)
	return digest.String()
}

// What docker wrote into the base, and nobody here knows, is in the image.
func TestWhatABaseSaysIsInTheImageUponIt(t *testing.T) {
	t.Parallel()
	registry := rig.StartRegistry(t)
	config, err := os.ReadFile(filepath.Join(rig.Root(t), "internal", "image", "testdata", "configs", "docker.json"))
	check(t, err)
	digest := pushConfig(t, registry.Host, "library/base", config, types.DockerLayer, "application/vnd.docker.image.rootfs.diff.tar.zstd")
	w := onBase(t, registry.Host, "library/base", digest, fmt.Sprintf(`
image_manifest(
    name = "kept",
    base = "@base",
)

image_manifest(
    name = "nothing",
    base = "@base",
    cmd = [],
    entrypoint = [],
    unset_env = ["APACHE_*"],
    unset_labels = ["*"],
    user = "",
    working_dir = "",
)

image_manifest(
    name = "more",
    base = "@base",
    cmd = [INHERIT_FROM_BASE, "-X"],
    config_fragment = "fragment.json",
    entrypoint = ["tini", "--", INHERIT_FROM_BASE],
)

[
    image_push(
        name = "push_" + image,
        image = ":" + image,
        registry = %q,
        repository = image,
        tag = "1",
    )
    for image in ["kept", "nothing", "more"]
]
`, registry.Host))
	w.Write(t, "app/fragment.json", `{"container_config": null, "config": {"Healthcheck": {"StartInterval": 250000000}, "OnBuild": null, "ExposedPorts": {"443/tcp": null}, "Memory": 12345678901234567890}}`)

	pushed := func(image string) (*v1.Manifest, *v1.ConfigFile, string) {
		w.Bazel(t, "run", "--platforms=//app:amd64", "//app:push_"+image)
		pulled := rig.PullImage(t, registry.Host+"/"+image+":1")
		manifest, err := pulled.Manifest()
		check(t, err)
		file, err := pulled.ConfigFile()
		check(t, err)
		text, err := pulled.RawConfigFile()
		check(t, err)
		return manifest, file, string(text)
	}
	manifest, kept, text := pushed("kept")
	if diff := cmp.Diff([]types.MediaType{types.OCILayer, types.OCILayerZStd}, []types.MediaType{manifest.Layers[0].MediaType, manifest.Layers[1].MediaType}); diff != "" {
		t.Errorf("media types of layers (-want +got):\n%s", diff)
	}
	for _, want := range []string{`"StartInterval":1000000000`, `"StopTimeout":45`, `"container_config":{"Hostname":"8d0f7a7e6b3d"`, `"OnBuild":["COPY . /var/www/html","RUN composer install"]`} {
		if !strings.Contains(text, want) {
			t.Errorf("the config lacks %s: %s", want, text)
		}
	}
	_, nothing, _ := pushed("nothing")
	want := kept.Config
	want.Entrypoint, want.Cmd, want.Labels, want.User, want.WorkingDir, want.Env = nil, nil, nil, "", "", kept.Config.Env[:1]
	if diff := cmp.Diff(want, nothing.Config); diff != "" {
		t.Errorf("what was taken away (-want +got):\n%s", diff)
	}
	_, more, text := pushed("more")
	if diff := cmp.Diff([][]string{{"tini", "--", "docker-php-entrypoint"}, {"apache2-foreground", "-X"}}, [][]string{more.Config.Entrypoint, more.Config.Cmd}); diff != "" {
		t.Errorf("what goes on (-want +got):\n%s", diff)
	}
	if strings.Contains(text, "container_config") || strings.Contains(text, "OnBuild") || strings.Contains(text, "443/tcp") ||
		!strings.Contains(text, `"StartInterval":250000000,"Retries":3`) || !strings.Contains(text, `"Memory":12345678901234567890`) {
		t.Errorf("the fragment is not in the config: %s", text)
	}
}
