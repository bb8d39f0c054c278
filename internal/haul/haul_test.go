package haul_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	fakeregistry "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

func noise(seed uint64, n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(data)
	return data
}

func descriptor(mediaType types.MediaType, data []byte) v1.Descriptor {
	hash, size, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		panic(err)
	}
	return v1.Descriptor{MediaType: mediaType, Digest: hash, Size: size}
}

// image is a spec of an image with these layers, which are put into the cache.
// The config is embedded.
func image(t testing.TB, server *castest.Server, host, repository string, tags []string, layers ...[]byte) *pushspec.Spec {
	t.Helper()
	spec := &pushspec.Spec{
		SchemaVersion: pushspec.SchemaVersion,
		MediaType:     pushspec.MediaType,
		Target:        "//app:push",
		Destination:   pushspec.Destination{Registry: host, Repository: repository, Tags: tags},
	}
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	var diffIDs []string
	for _, data := range layers {
		d := descriptor(types.OCIUncompressedLayer, data)
		server.Put(data)
		manifest.Layers = append(manifest.Layers, d)
		diffIDs = append(diffIDs, d.Digest.String())
		spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: d, Sources: []pushspec.Source{{CAS: d.Digest.String()}}})
	}
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux",
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	if err != nil {
		t.Fatal(err)
	}
	manifest.Config = descriptor(types.OCIConfigJSON, config)
	embedded := manifest.Config
	embedded.Data = config
	spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: embedded})
	data, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	root := descriptor(types.OCIManifestSchema1, data)
	root.Data = data
	spec.Root = root.Digest
	spec.Manifests = append(spec.Manifests, root)
	if err := spec.Validate(); err != nil {
		t.Fatalf("the test's spec is wrong: %v", err)
	}
	return spec
}

func request(spec *pushspec.Spec) haul.Request {
	return haul.Request{Spec: spec, Repository: spec.Destination.Repository, Tags: spec.Destination.Tags, Invocation: "test"}
}

func newHauler(t testing.TB, server *castest.Server, opts haul.Options) *haul.Hauler {
	t.Helper()
	registries := registry.New(registry.Options{Keychain: authn.NewMultiKeychain()})
	t.Cleanup(registries.Close)
	opts.CAS = server.Dial(t, cas.Options{})
	opts.Registries = registries
	h, err := haul.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// get reads a path of a registry's API.
func get(t testing.TB, host, path string) ([]byte, int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/v2/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return data, response.StatusCode
}

// checkImage pulls an image and checks every digest.
func checkImage(t testing.TB, host, repository, reference string, want v1.Hash) {
	t.Helper()
	data, status := get(t, host, repository+"/manifests/"+reference)
	if got := descriptor("", data).Digest; got != want {
		t.Errorf("%s/%s:%s is %s (status %d), want %s", host, repository, reference, got, status, want)
		return
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range append(manifest.Layers, manifest.Config) {
		blob, status := get(t, host, repository+"/blobs/"+d.Digest.String())
		if got := descriptor("", blob).Digest; got != d.Digest {
			t.Errorf("%s/%s:%s: blob %s has the digest %s (status %d)", host, repository, reference, d.Digest, got, status)
		}
	}
}

func genericRegistry(t testing.TB) string {
	t.Helper()
	server := httptest.NewServer(fakeregistry.New(fakeregistry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestAnImageArrivesUnderItsTags(t *testing.T) {
	host, server := genericRegistry(t), castest.Start(t)
	spec := image(t, server, host, "acme/app", []string{"v1", "latest"}, noise(1, 5<<20), noise(2, 1000))
	h := newHauler(t, server, haul.Options{})
	result, err := h.Haul(t.Context(), request(spec))
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range spec.Destination.Tags {
		checkImage(t, host, "acme/app", tag, spec.Root)
	}
	if result.AlreadyThere || result.Uploaded.Blobs != 3 || len(result.Tags) != 2 || result.Tags[0] != (haul.Tag{Name: "v1"}) {
		t.Errorf("the result is %+v", result)
	}
}

func TestNothingNewCostsARequestATag(t *testing.T) {
	host, server := genericRegistry(t), castest.Start(t)
	spec := image(t, server, host, "acme/app", []string{"v1", "latest"}, noise(1, 1000))
	if _, err := newHauler(t, server, haul.Options{}).Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	result, err := newHauler(t, server, haul.Options{}).Haul(t.Context(), request(spec))
	if err != nil {
		t.Fatal(err)
	}
	if !result.AlreadyThere || result.Requests != 2 {
		t.Errorf("the result is %+v, want an image that was there, in two requests", result)
	}
}

func TestATagTellsWhatItPointedToBefore(t *testing.T) {
	host, server := genericRegistry(t), castest.Start(t)
	before := image(t, server, host, "acme/app", []string{"latest"}, noise(1, 1000))
	after := image(t, server, host, "acme/app", []string{"latest"}, noise(2, 1000))
	h := newHauler(t, server, haul.Options{})
	if _, err := h.Haul(t.Context(), request(before)); err != nil {
		t.Fatal(err)
	}
	result, err := h.Haul(t.Context(), request(after))
	if err != nil {
		t.Fatal(err)
	}
	if want := (haul.Tag{Name: "latest", Previous: before.Root.String()}); len(result.Tags) != 1 || result.Tags[0] != want {
		t.Errorf("the tags are %+v, want %+v", result.Tags, want)
	}
	checkImage(t, host, "acme/app", "latest", after.Root)
}

func TestAnEvictedLayerIsNamed(t *testing.T) {
	host, server := genericRegistry(t), castest.Start(t)
	layer := noise(1, 12<<20)
	spec := image(t, server, host, "acme/app", []string{"v1"}, layer)
	spec.Blobs[0].Annotations = map[string]string{pushspec.TargetAnnotation: "@@//app:layer"}
	server.Evict(server.Put(layer))
	_, err := newHauler(t, server, haul.Options{Grace: -1}).Haul(t.Context(), request(spec))
	var failed *haul.Error
	if !errors.As(err, &failed) || failed.Class != haul.Evicted {
		t.Fatalf("got error %v, want one of class %s", err, haul.Evicted)
	}
	want := fmt.Sprintf("layer %s (12 MiB) of //app:layer is not in the remote cache", spec.Blobs[0].Digest)
	if err.Error() != want {
		t.Errorf("the text is\n%s\nwant\n%s", err, want)
	}
}

func TestWrongBytesAreNeverFinished(t *testing.T) {
	for _, size := range []int{1000, 3 << 20} {
		host, server := genericRegistry(t), castest.Start(t)
		layer := noise(1, size)
		spec := image(t, server, host, "acme/app", []string{"v1"}, layer)
		wrong := bytes.Clone(layer)
		wrong[size/2] ^= 1
		server.PutAs(server.Put(layer), wrong)
		_, err := newHauler(t, server, haul.Options{}).Haul(t.Context(), request(spec))
		var failed *haul.Error
		if !errors.As(err, &failed) || failed.Class != haul.Malformed || !strings.Contains(err.Error(), spec.Blobs[0].Digest.String()) {
			t.Errorf("got error %v, want one of class %s that names the layer", err, haul.Malformed)
		}
		if _, status := get(t, host, "acme/app/manifests/v1"); status != http.StatusNotFound {
			t.Error("something was written under the tag")
		}
	}
}
