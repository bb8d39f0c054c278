package load_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/load"
	"github.com/drayage/drayage/pushspec"
)

// store is a remote cache in memory.
type store map[string][]byte

func (s store) Stream(_ context.Context, blob cas.Blob, offset int64) (io.ReadCloser, error) {
	data, there := s[blob.String()]
	if !there {
		return nil, &cas.NotFoundError{Digest: blob.Digest}
	}
	return io.NopCloser(strings.NewReader(string(data[offset:]))), nil
}

// scene is an image or an index, and what is needed to load it.
type scene struct {
	spec *pushspec.Spec
	cas  store
}

// imageFor is an image of two layers for a platform.
func imageFor(t *testing.T, platform v1.Platform) v1.Image {
	t.Helper()
	i, err := random.Image(100_000, 2)
	check(t, err)
	config, err := i.ConfigFile()
	check(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
	i, err = mutate.ConfigFile(i, config)
	check(t, err)
	return i
}

func newScene(target string, to pushspec.Destination) *scene {
	return &scene{
		spec: &pushspec.Spec{SchemaVersion: 1, MediaType: pushspec.MediaType, Target: target, Destination: to},
		cas:  store{},
	}
}

func (s *scene) add(t *testing.T, i v1.Image) v1.Descriptor {
	t.Helper()
	manifest, err := i.Manifest()
	check(t, err)
	raw, err := i.RawConfigFile()
	check(t, err)
	config := manifest.Config
	config.Data = raw
	s.spec.Blobs = append(s.spec.Blobs, pushspec.Blob{Descriptor: config})
	layers, err := i.Layers()
	check(t, err)
	for n, layer := range layers {
		d := manifest.Layers[n]
		r, err := layer.Compressed()
		check(t, err)
		data, err := io.ReadAll(r)
		check(t, err)
		s.cas[d.Digest.String()] = data
		s.spec.Blobs = append(s.spec.Blobs, pushspec.Blob{Descriptor: d, Sources: []pushspec.Source{{CAS: d.Digest.String()}}})
	}
	root := v1.Descriptor{MediaType: manifest.MediaType}
	root.Data, err = i.RawManifest()
	check(t, err)
	root.Size, err = i.Size()
	check(t, err)
	root.Digest, err = i.Digest()
	check(t, err)
	s.spec.Root = root.Digest
	s.spec.Manifests = append(s.spec.Manifests, root)
	return root
}

// imageScene is an image alone.
func imageScene(t *testing.T, platform v1.Platform) *scene {
	t.Helper()
	s := newScene("//app:load", pushspec.Destination{Registry: "docker.io", Repository: "library/app", Tags: []string{"dev"}})
	s.add(t, imageFor(t, platform))
	check(t, s.spec.Validate())
	return s
}

// indexScene is an index over images for platforms, in their order.
func indexScene(t *testing.T, platforms ...v1.Platform) *scene {
	t.Helper()
	return indexSceneOf(t, func(p v1.Platform) v1.Platform { return p }, platforms...)
}

// indexSceneOf has images whose configs say something else than the index.
func indexSceneOf(t *testing.T, config func(v1.Platform) v1.Platform, platforms ...v1.Platform) *scene {
	t.Helper()
	s := newScene("//app:load", pushspec.Destination{Registry: "docker.io", Repository: "library/app", Tags: []string{"dev"}})
	index := v1.ImageIndex(empty.Index)
	for _, platform := range platforms {
		i := imageFor(t, config(platform))
		s.add(t, i)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: i, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	root := v1.Descriptor{}
	var err error
	root.MediaType, err = index.MediaType()
	check(t, err)
	root.Data, err = index.RawManifest()
	check(t, err)
	root.Size, err = index.Size()
	check(t, err)
	root.Digest, err = index.Digest()
	check(t, err)
	s.spec.Root = root.Digest
	s.spec.Manifests = append(s.spec.Manifests, root)
	check(t, s.spec.Validate())
	return s
}

func platforms(t *testing.T, i *load.Image) []string {
	t.Helper()
	var names []string
	for _, r := range i.Platforms {
		names = append(names, r.Platform.String())
	}
	return names
}

func TestOfAnIndexTheImageForAPlatformIsSelected(t *testing.T) {
	s := indexScene(t,
		v1.Platform{OS: "linux", Architecture: "s390x"},
		v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"},
		v1.Platform{OS: "linux", Architecture: "arm", Variant: "v6"},
		v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"},
	)
	for asked, want := range map[string][]string{
		"linux/s390x":    {"linux/s390x"},
		"linux/arm64":    {"linux/arm64/v8"},
		"linux/arm64/v8": {"linux/arm64/v8"},
		"linux/arm/v7":   {"linux/arm/v7"},
		"linux/arm":      {"linux/arm/v6"}, // any will do
		"all":            {"linux/s390x", "linux/arm64/v8", "linux/arm/v6", "linux/arm/v7"},
	} {
		i, err := load.Select(s.spec, asked)
		check(t, err)
		if got := platforms(t, i); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", asked, got, want)
		}
		// The images' manifests, and the index that names them; of each a config
		// and two layers.
		if len(i.Manifests) != len(want)+1 || len(i.Blobs) != 3*len(want) || i.Root.Digest != s.spec.Root || i.Manifests[len(want)].Digest != s.spec.Root {
			t.Errorf("%s: %d manifests, %d blobs, root %s", asked, len(i.Manifests), len(i.Blobs), i.Root.Digest)
		}
	}
}

func TestAnImageIsForWhatOnlyItsIndexSays(t *testing.T) {
	s := indexSceneOf(t, func(p v1.Platform) v1.Platform { return v1.Platform{OS: p.OS, Architecture: p.Architecture} },
		v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}, v1.Platform{OS: "linux", Architecture: "arm", Variant: "v6"})
	i, err := load.Select(s.spec, "linux/arm/v6")
	check(t, err)
	if got := platforms(t, i); !slices.Equal(got, []string{"linux/arm/v6"}) || i.Manifests[0].Digest != s.spec.Manifests[1].Digest {
		t.Errorf("selected were %v, %s", got, i.Manifests[0].Digest)
	}
}

func TestAPlatformThatIsNotThereIsRefusedWithThoseThatAre(t *testing.T) {
	index := indexScene(t, v1.Platform{OS: "linux", Architecture: "s390x"}, v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"})
	for asked, want := range map[string]string{
		"":               "the push spec has no image for " + load.HostPlatform() + ": choose one with --platform (linux/s390x, linux/arm/v7), or load all with --platform=all",
		"linux/arm/v6":   "the push spec has no image for linux/arm/v6",
		"windows/s390x":  "the push spec has no image for windows/s390x",
		"linux":          `the platform "linux" must be os/architecture`,
		"linux/a/b/c":    `the platform "linux/a/b/c" must be os/architecture`,
		"linux/arm64/v8": "(linux/s390x, linux/arm/v7)",
	} {
		if _, err := load.Select(index.spec, asked); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", asked, err, want)
		}
	}
	one := imageScene(t, v1.Platform{OS: "linux", Architecture: "s390x"})
	if _, err := load.Select(one.spec, "linux/amd64"); err == nil {
		t.Error("an image for another platform than the one asked for was selected")
	}
	// Nothing was asked for, and there is no choice.
	if i, err := load.Select(one.spec, ""); err != nil || platforms(t, i)[0] != "linux/s390x" {
		t.Errorf("an image alone: %v", err)
	}
}

// Each index lists the one below it twice: 2^60 ways lead to the image.
func TestIndexesThatShareWhatTheyListAreLookedAtOnce(t *testing.T) {
	s := indexScene(t, v1.Platform{OS: "linux", Architecture: "s390x"})
	for range 60 {
		below := s.spec.Manifests[len(s.spec.Manifests)-1]
		entry := v1.Descriptor{MediaType: below.MediaType, Digest: below.Digest, Size: below.Size}
		data, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{entry, entry}})
		check(t, err)
		digest, size, err := v1.SHA256(bytes.NewReader(data))
		check(t, err)
		s.spec.Manifests = append(s.spec.Manifests, v1.Descriptor{MediaType: types.OCIImageIndex, Digest: digest, Size: size, Data: data})
		s.spec.Root = digest
	}
	check(t, s.spec.Validate())
	i, err := load.Select(s.spec, "linux/s390x")
	check(t, err)
	if len(i.Manifests) != 62 || len(i.Blobs) != 3 || len(i.Platforms) != 1 {
		t.Errorf("%d manifests, %d blobs, %d platforms", len(i.Manifests), len(i.Blobs), len(i.Platforms))
	}
}

func TestNamesAreWhatRuntimesKeep(t *testing.T) {
	for text, want := range map[string]string{
		"app":                       "docker.io/library/app:latest",
		"app:dev":                   "docker.io/library/app:dev",
		"acme/app":                  "docker.io/acme/app:latest",
		"docker.io/acme/app:dev":    "docker.io/acme/app:dev",
		"index.docker.io/acme/app":  "docker.io/acme/app:latest",
		"ghcr.io/acme/app:1.2":      "ghcr.io/acme/app:1.2",
		"localhost:5000/a/b/c:tag":  "localhost:5000/a/b/c:tag",
		"registry.example/app:Main": "registry.example/app:Main",
	} {
		if got, err := load.Name(text); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
	if _, err := load.Name("App:dev"); err == nil || !strings.Contains(err.Error(), `"App:dev" must be the name of an image`) {
		t.Errorf("a name with a capital: %v", err)
	}
	s := imageScene(t, v1.Platform{OS: "linux", Architecture: "amd64"})
	names, err := load.Names(s.spec.Destination, s.spec.Root)
	if !slices.Equal(names, []string{"docker.io/library/app:dev"}) || err != nil {
		t.Errorf("%v, %v", names, err)
	}
	names, err = load.Names(pushspec.Destination{Registry: "ghcr.io", Repository: "acme/app"}, s.spec.Root)
	if !slices.Equal(names, []string{"ghcr.io/acme/app@" + s.spec.Root.String()}) || err != nil {
		t.Errorf("without a tag: %v, %v", names, err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var errNone = errors.New("there is none")
