package haul_test

import (
	"bytes"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-containerregistry/pkg/authn"
	fakeregistry "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

// checkSpec looks whether all of a spec is in a registry: each manifest with its
// blobs, each referrer listed with the root, and the tags.
func checkSpec(t testing.TB, fake *registrytest.Registry, spec *pushspec.Spec, listsReferrers bool) {
	t.Helper()
	repository := spec.Destination.Repository
	listing, _ := fake.Manifest(repository, fallbackOf(spec.Root))
	for _, m := range spec.Manifests {
		if _, found := fake.Manifest(repository, m.Digest.String()); !found {
			t.Errorf("manifest %s is not there", m.Digest)
		}
		if strings.Contains(string(m.Data), `"subject"`) && !listsReferrers && !strings.Contains(string(listing), m.Digest.String()) {
			t.Errorf("referrer %s is not listed: %s", m.Digest, listing)
		}
	}
	for _, blob := range spec.Blobs {
		if !fake.HasBlob(repository, blob.Digest.String()) {
			t.Errorf("blob %s is not there", blob.Digest)
		}
	}
	for _, tag := range spec.Destination.Tags {
		if data, _ := fake.Manifest(repository, tag); descriptor("", data).Digest != spec.Root {
			t.Errorf("tag %s does not point to the root", tag)
		}
	}
}

// wantClass fails the test unless an error is of the class.
func wantClass(t testing.TB, err error, want haul.Class) *haul.Error {
	t.Helper()
	failed, ok := errors.AsType[*haul.Error](err)
	if !ok || failed.Class != want {
		t.Fatalf("got error %v, want class %s", err, want)
	}
	return failed
}

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
	}, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	manifest.Config = descriptor(types.OCIConfigJSON, config)
	embedded := manifest.Config
	embedded.Data = config
	spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: embedded})
	data, err := json.Marshal(manifest, json.Deterministic(true))
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
