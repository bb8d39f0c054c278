package haul_test

import (
	"testing"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
)

// An index may list indexes (OCI image spec, "Image Index Property Descriptions").
func TestAnIndexOfIndexesArrivesFromTheLeavesUp(t *testing.T) {
	server, host := castest.Start(t), genericRegistry(t)
	spec := image(t, server, host, "acme/app", []string{"latest"}, noise(1, 1000))
	leaf := spec.Root
	for range 2 {
		last := spec.Manifests[len(spec.Manifests)-1]
		last.Data = nil
		data, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{last}}, json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		index := descriptor(types.OCIImageIndex, data)
		index.Data = data
		spec.Manifests, spec.Root = append(spec.Manifests, index), index.Digest
	}
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	if _, err := newHauler(t, server, haul.Options{}).Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	reference := "latest"
	for _, want := range []v1.Hash{spec.Root, spec.Manifests[1].Digest} {
		data, _ := get(t, host, "acme/app/manifests/"+reference)
		var index v1.IndexManifest
		if err := json.Unmarshal(data, &index); err != nil {
			t.Fatal(err)
		}
		if got := descriptor("", data).Digest; got != want || len(index.Manifests) != 1 {
			t.Fatalf("%s is %s with %d manifests, want %s", reference, got, len(index.Manifests), want)
		}
		reference = index.Manifests[0].Digest.String()
	}
	checkImage(t, host, "acme/app", reference, leaf)
}
