package pull_test

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/layer"
	"github.com/drayage/drayage/internal/pull"
	"github.com/drayage/drayage/pushspec"
)

// server is a registry that remembers what it.
type server struct {
	host string

	mu       sync.Mutex
	requests []string
}

func start(t *testing.T) *server {
	t.Helper()
	s := &server{}
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	s.host = strings.TrimPrefix(h.URL, "http://")
	return s
}

// asked is what so far, and forgets it.
func (s *server) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := s.requests
	s.requests = nil
	return requests
}

func (s *server) reference(t *testing.T) name.Tag {
	t.Helper()
	ref, err := name.NewTag(s.host + "/library/base:1")
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func imageFor(t *testing.T, platform v1.Platform) v1.Image {
	t.Helper()
	image, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	return image
}

func pushImage(t *testing.T, s *server) v1.Image {
	t.Helper()
	image := imageFor(t, v1.Platform{OS: "linux", Architecture: "amd64"})
	if err := remote.Write(s.reference(t), image); err != nil {
		t.Fatal(err)
	}
	s.asked()
	return image
}

var (
	amd64       = v1.Platform{OS: "linux", Architecture: "amd64"}
	arm64       = v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	attestation = v1.Platform{OS: "unknown", Architecture: "unknown"}
)

func pushIndex(t *testing.T, s *server) v1.ImageIndex {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for _, platform := range []v1.Platform{amd64, arm64, attestation} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: imageFor(t, platform), Descriptor: v1.Descriptor{Platform: &platform},
		})
	}
	if err := remote.WriteIndex(s.reference(t), index); err != nil {
		t.Fatal(err)
	}
	s.asked()
	return index
}

func digestOf(t *testing.T, of interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	digest, err := of.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func (s *server) request(digest string, platforms ...string) pull.Request {
	return pull.Request{Registry: s.host, Repository: "library/base", Tag: "1", Digest: digest, Platforms: platforms}
}

func names(images []pull.Image) []string {
	var names []string
	for _, i := range images {
		names = append(names, i.Name())
	}
	return names
}

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
		{"no digest", s.request(""), `because the tag "1" may move. At present it is` + "\n    digest = \"" + digest + `",`},
		{"no digest and a tag that is not there", pull.Request{Registry: s.host, Repository: "library/base", Tag: "2"}, `the one of tag "2" could not be looked up`},
		{"a digest that is none", s.request("latest"), `digest "latest" must be sha256:`},
		{"a platform that the index lacks", s.request(digest, "linux/s390x"), "has no image for linux/s390x, only for linux/amd64, linux/arm64/v8"},
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
	if err == nil || !strings.Contains(err.Error(), "but it must have at most 4.0 MiB") {
		t.Errorf("the error is %v", err)
	}
	for _, request := range s.asked() {
		if strings.Contains(request, "/blobs/") {
			t.Errorf("it: %s", request)
		}
	}
}

// entry is an image of an index: what the index says of its platform, and what its
// config does.
type entry struct {
	listed *v1.Platform
	config v1.Platform
}

func pushEntries(t *testing.T, s *server, entries ...entry) string {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for _, e := range entries {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: imageFor(t, e.config), Descriptor: v1.Descriptor{Platform: e.listed}})
	}
	// Something about an image, and no image: its config has no platform and no diff ids.
	artifact := mutate.ConfigMediaType(mutate.MediaType(imageFor(t, v1.Platform{}), types.OCIManifestSchema1), "application/vnd.example+json")
	empty, err := mutate.ConfigFile(imageFor(t, amd64), &v1.ConfigFile{})
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []v1.Image{artifact, empty} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: other})
	}
	if err := remote.WriteIndex(s.reference(t), index); err != nil {
		t.Fatal(err)
	}
	s.asked()
	return digestOf(t, index)
}

func TestWhatAnIndexDoesNotSayOfAPlatformIsInTheConfig(t *testing.T) {
	s := start(t)
	armv6, armv7, arm := v1.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}, v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}, v1.Platform{OS: "linux", Architecture: "arm"}
	windows := v1.Platform{OS: "windows", Architecture: "amd64"}
	windows2019 := v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763.4377"}
	digest := pushEntries(t, s,
		entry{nil, amd64}, entry{&v1.Platform{Architecture: "arm64"}, arm64}, entry{&armv6, arm}, entry{&arm, armv7}, entry{&windows2019, windows})
	for _, row := range []struct {
		platforms, want []string
	}{
		{nil, []string{"linux_amd64 linux/amd64", "linux_arm64_v8 linux/arm64/v8", "linux_arm_v6 linux/arm/v6", "linux_arm linux/arm/v7", "windows_amd64 windows/amd64:10.0.17763.4377"}},
		{[]string{"linux/amd64"}, []string{"linux_amd64 linux/amd64"}},
		{[]string{"linux/arm64"}, []string{"linux_arm64_v8 linux/arm64/v8"}},
		{[]string{"linux/arm/v7"}, []string{"linux_arm linux/arm/v7"}},
		{[]string{"linux/arm/v6"}, []string{"linux_arm_v6 linux/arm/v6"}},
	} {
		images, err := pull.Pull(t.Context(), s.request(digest, row.platforms...))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, i := range images {
			got = append(got, i.Name()+" "+i.Platform.String())
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("platforms %v (-want +got):\n%s", row.platforms, diff)
		}
	}
	_, err := pull.Pull(t.Context(), s.request(digest, "linux/s390x"))
	if want := "has no image for linux/s390x, only for linux/amd64, linux/arm64/v8, linux/arm/v6, linux/arm/v7, windows/amd64"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, want it to contain %s", err, want)
	}
}

func TestWhatOnlyTheIndexSaysOfAPlatformIsWritten(t *testing.T) {
	s := start(t)
	armv6, arm := v1.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}, v1.Platform{OS: "linux", Architecture: "arm"}
	images, err := pull.Pull(t.Context(), s.request(pushEntries(t, s, entry{&armv6, arm}, entry{nil, amd64}, entry{&arm64, arm64})))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	written, err := pull.Write(dir, images, false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"linux_arm_v6/platform.json", "", ""}, []string{written[0].Platform, written[1].Platform, written[2].Platform}); diff != "" {
		t.Fatalf("platforms (-want +got):\n%s", diff)
	}
	listed, err := os.ReadFile(filepath.Join(dir, written[0].Platform))
	if want := `{"architecture":"arm","os":"linux","variant":"v6"}`; err != nil || string(listed) != want {
		t.Errorf("the index says %s, error %v; want %s", listed, err, want)
	}
}

func TestAPlatformIsWantedUnderEitherOfItsNames(t *testing.T) {
	s := start(t)
	bare := v1.Platform{OS: "linux", Architecture: "arm64"}
	for _, row := range []struct {
		has    v1.Platform
		wanted string
	}{{arm64, "linux/arm64"}, {bare, "linux/arm64/v8"}, {bare, "linux/aarch64"}} {
		images, err := pull.Pull(t.Context(), s.request(pushEntries(t, s, entry{&row.has, row.has}, entry{&amd64, amd64}), row.wanted))
		if err != nil || len(images) != 1 || images[0].Platform.Architecture != "arm64" {
			t.Errorf("of %s, %s is wanted: %d images, error %v", row.has, row.wanted, len(images), err)
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
			t.Errorf("fetched %t: it: %t", fetched, asked)
		}
		if diff := cmp.Diff([]string{"https://layers.example/1"}, images[0].Layers[2].URLs); diff != "" {
			t.Errorf("urls (-want +got):\n%s", diff)
		}
	}
}

func TestAnImageThatDoesNotSayWhatItIsForHasANameAllTheSame(t *testing.T) {
	for want, platform := range map[string]v1.Platform{"_": {}, "_arm64": {Architecture: "arm64"}, "linux_": {OS: "linux"}} {
		s := start(t)
		image := imageFor(t, platform)
		if err := remote.Write(s.reference(t), image); err != nil {
			t.Fatal(err)
		}
		images, err := pull.Pull(t.Context(), s.request(digestOf(t, image)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{want}, names(images)); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
	}
}
