package pull_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/layer"
	"github.com/drayage/drayage/internal/pull"
	"github.com/drayage/drayage/pushspec"
)

func TestOnlyTheManifestAndTheConfigAreFetched(t *testing.T) {
	s := start(t)
	image := pushImage(t, s)
	images, err := pull.Pull(t.Context(), s.request(digestOf(t, image)))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"GET /v2/",
		"GET /v2/library/base/manifests/" + digestOf(t, image),
		"GET /v2/library/base/blobs/" + manifest.Config.Digest.String(),
	}
	if diff := cmp.Diff(want, s.asked()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if len(images) != 1 || len(images[0].Layers) != 2 {
		t.Fatalf("there are %d images", len(images))
	}
	for i, l := range images[0].Layers {
		if l.Digest != manifest.Layers[i].Digest || l.DiffID.Hex == "" {
			t.Errorf("layer %d is %+v", i, l)
		}
		if diff := cmp.Diff([]pushspec.Source{{Repository: s.host + "/library/base"}}, l.Sources); diff != "" {
			t.Errorf("sources of layer %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestAnIndexGivesTheImagesOfItsPlatforms(t *testing.T) {
	s := start(t)
	index := pushIndex(t, s)
	for _, row := range []struct {
		platforms, want []string
	}{
		{nil, []string{"linux_amd64", "linux_arm64_v8"}},
		{[]string{"linux/arm64"}, []string{"linux_arm64_v8"}},
		{[]string{"linux/arm64/v8", "linux/amd64"}, []string{"linux_amd64", "linux_arm64_v8"}},
	} {
		images, err := pull.Pull(t.Context(), s.request(digestOf(t, index), row.platforms...))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(row.want, names(images)); diff != "" {
			t.Errorf("platforms %v (-want +got):\n%s", row.platforms, diff)
		}
	}
}

func TestAMirrorIsAskedFirstAndItsFailureIsNoMatter(t *testing.T) {
	origin, broken := start(t), start(t)
	image := pushImage(t, origin)
	request := origin.request(digestOf(t, image))
	request.Mirrors = []string{broken.host + "/cache/"}
	images, err := pull.Pull(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if asked := broken.asked(); len(asked) != 2 || asked[1] != "GET /v2/cache/library/base/manifests/"+digestOf(t, image) {
		t.Errorf("the mirror was asked %v", asked)
	}
	want := []pushspec.Source{{Repository: broken.host + "/cache/library/base"}, {Repository: origin.host + "/library/base"}}
	if diff := cmp.Diff(want, images[0].Layers[0].Sources); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
}

func TestARequestThatCannotBeMetSaysWhatWouldBe(t *testing.T) {
	s := start(t)
	index := pushIndex(t, s)
	digest := digestOf(t, index)
	single, err := remote.Image(s.reference(t), remote.WithPlatform(amd64))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name    string
		request pull.Request
		want    string
	}{
		{"no digest", s.request(""), `tag "1" alone may change. Add its current digest:` + "\n    digest = \"" + digest + `",`},
		{"no digest and a tag that is not there", pull.Request{Registry: s.host, Repository: "library/base", Tag: "2"}, `the digest of tag "2" could not be looked up`},
		{"a digest that is none", s.request("latest"), `digest "latest" must have the form`},
		{"a platform that the index lacks", s.request(digest, "linux/s390x"), "has no image for linux/s390x; it has images for linux/amd64, linux/arm64/v8"},
		{"a platform that the image is not for", s.request(digestOf(t, single), "linux/arm64"), "is an image for linux/amd64 only"},
		{"a repository that is none", pull.Request{Registry: s.host, Repository: "UP", Digest: digest}, "repository can only contain"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := pull.Pull(t.Context(), row.request)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error is %v, want it to contain %s", err, row.want)
			}
		})
	}
}

func TestWhatIsWrittenIsWhatTheRegistryHas(t *testing.T) {
	s := start(t)
	image := pushImage(t, s)
	images, err := pull.Pull(t.Context(), s.request(digestOf(t, image)))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	written, err := pull.Write(dir, images, true)
	if err != nil {
		t.Fatal(err)
	}
	want := []pull.Written{{
		Name: "linux_amd64", OS: "linux", Architecture: "amd64",
		Manifest: "linux_amd64/manifest.json", Config: "linux_amd64/config.json",
		Layers: []string{"linux_amd64/0.layer.json", "linux_amd64/1.layer.json"},
		Blobs:  []string{"linux_amd64/0.blob", "linux_amd64/1.blob"},
	}}
	if diff := cmp.Diff(want, written); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	manifest, err := os.ReadFile(filepath.Join(dir, written[0].Manifest))
	if err != nil {
		t.Fatal(err)
	}
	if raw, _ := image.RawManifest(); !bytes.Equal(manifest, raw) {
		t.Errorf("manifest is %s", manifest)
	}
	got, err := layer.ReadMetadata(filepath.Join(dir, written[0].Layers[1]))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(images[0].Layers[1], got); diff != "" {
		t.Errorf("layer (-want +got):\n%s", diff)
	}
	blob, err := os.ReadFile(filepath.Join(dir, written[0].Blobs[1]))
	if err != nil || int64(len(blob)) != got.Size {
		t.Errorf("the blob has %d bytes, want %d (%v)", len(blob), got.Size, err)
	}
	if data, err := json.Marshal(written); err != nil || !strings.Contains(string(data), `"variant":""`) {
		t.Errorf("printed as %s (%v)", data, err)
	}
}

func TestAConfigOverTheLimitIsNotFetched(t *testing.T) {
	s := start(t)
	image := imageFor(t, amd64)
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.Author = strings.Repeat("x", pushspec.MaxDataSize)
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(s.reference(t), image); err != nil {
		t.Fatal(err)
	}
	s.asked()
	_, err = pull.Pull(t.Context(), s.request(digestOf(t, image)))
	if err == nil || !strings.Contains(err.Error(), "bytes; the limit is 4.0 MiB") {
		t.Errorf("the error is %v", err)
	}
	for _, request := range s.asked() {
		if strings.Contains(request, "/blobs/") {
			t.Errorf("it was asked for: %s", request)
		}
	}
}

func TestLayersThatAreNotToBeDistributedAreFetchedIfThatIsSaid(t *testing.T) {
	s := start(t)
	ordinary, err := random.Layer(500, types.DockerLayer)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := random.Layer(500, types.DockerForeignLayer)
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.Append(imageFor(t, amd64),
		mutate.Addendum{Layer: foreign, MediaType: types.DockerForeignLayer, URLs: []string{"https://layers.example/1"}}, mutate.Addendum{Layer: ordinary})
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(s.reference(t), image, remote.WithNondistributable); err != nil {
		t.Fatal(err)
	}
	for _, fetched := range []bool{false, true} {
		request := s.request(digestOf(t, image))
		request.Nondistributable = fetched
		images, err := pull.Pull(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		s.asked()
		written, err := pull.Write(t.TempDir(), images, true)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"linux_amd64/0.blob", "linux_amd64/1.blob", "linux_amd64/2.blob", "linux_amd64/3.blob"}
		if !fetched {
			want = slices.Delete(want, 2, 3)
		}
		if diff := cmp.Diff(want, written[0].Blobs); diff != "" || len(written[0].Layers) != 4 {
			t.Errorf("fetched %t: blobs (-want +got):\n%s", fetched, diff)
		}
		if asked := strings.Contains(strings.Join(s.asked(), " "), digestOf(t, foreign)); asked != fetched {
			t.Errorf("fetched %t: it was asked for: %t", fetched, asked)
		}
		if diff := cmp.Diff([]string{"https://layers.example/1"}, images[0].Layers[2].URLs); diff != "" {
			t.Errorf("urls (-want +got):\n%s", diff)
		}
	}
}
