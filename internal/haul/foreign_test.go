package haul_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

// addLayer puts a layer into the spec's image that is nowhere to be had.
func addLayer(t *testing.T, spec *pushspec.Spec, layer v1.Descriptor, sources ...pushspec.Source) {
	t.Helper()
	root := &spec.Manifests[0]
	var manifest v1.Manifest
	if err := json.Unmarshal(root.Data, &manifest); err != nil {
		t.Fatal(err)
	}
	manifest.Layers = append(manifest.Layers, layer)
	data, err := json.Marshal(manifest, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	*root = descriptor(types.OCIManifestSchema1, data)
	root.Data = data
	spec.Root = root.Digest
	spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: layer, Sources: sources})
	if err := spec.Validate(); err != nil {
		t.Fatalf("the test's spec is wrong: %v", err)
	}
}

func foreign(mediaType types.MediaType) v1.Descriptor {
	layer := descriptor(mediaType, noise(9, 100))
	layer.URLs = []string{"https://layers.example/9"}
	return layer
}

func TestALayerThatIsNotToBeDistributedIsNeitherReadNorAskedForNorSent(t *testing.T) {
	for _, mediaType := range []types.MediaType{types.OCIRestrictedLayer, types.OCIUncompressedRestrictedLayer, "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"} {
		// Its source would be asked, and does not exist: the haul would fail.
		var mu sync.Mutex
		var asked []string
		fake, server := registrytest.Start(t, registrytest.Rules{ForeignLayers: true, Fault: func(r *http.Request) *registrytest.Fault {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, r.URL.String())
			return nil
		}}), castest.Start(t)
		spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
		layer := foreign(mediaType)
		addLayer(t, spec, layer, pushspec.Source{CAS: layer.Digest.String()}, pushspec.Source{Repository: fake.Host + "/library/windows"})
		result, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec))
		if err != nil {
			t.Fatal(err)
		}
		if manifest, _ := fake.Manifest("acme/app", "v1"); descriptor("", manifest).Digest != spec.Root {
			t.Errorf("the image under the tag is %s", manifest)
		}
		if result.Uploaded.Blobs != 2 || result.Mounted.Blobs != 0 {
			t.Errorf("the result is %+v", result)
		}
		for _, url := range asked {
			if strings.Contains(url, layer.Digest.Hex) || strings.Contains(url, "windows") {
				t.Errorf("the registry was asked for it: %s", url)
			}
		}
	}
}

func TestALayerWithURLsOfAnOrdinaryTypeIsSentLikeAnyOther(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
	layer := foreign(types.OCILayer)
	server.Put(noise(9, 100))
	addLayer(t, spec, layer, pushspec.Source{CAS: layer.Digest.String()})
	if _, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	if !fake.HasBlob("acme/app", layer.Digest.String()) {
		t.Error("the layer was not sent")
	}
}

func TestARegistryThatWantsAllLayersIsToldWhatWasLeftOut(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
	layer := foreign(types.OCIRestrictedLayer)
	addLayer(t, spec, layer)
	_, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec))
	failed, ok := errors.AsType[*haul.Error](err)
	want := "the image has layers that must not be distributed, so they were not sent: " + layer.Digest.String() + ". Have the registry accept them by their urls"
	if !ok || failed.Class != haul.Rejected || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, want it to contain %s", err, want)
	}
}
