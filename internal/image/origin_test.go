package image_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/image"
	"github.com/drayage/drayage/internal/layer"
	"github.com/drayage/drayage/pushspec"
)

func TestASpecTellsWhoMakesEachLayer(t *testing.T) {
	annotated := layerOf("b")
	annotated.Annotations = map[string]string{"of": "the manifest"}
	layers := []layer.Metadata{layerOf("a"), annotated, layerOf("c"), layerOf("c")}
	made, _, _ := assemble(t, image.Spec{Layers: []layer.Metadata{layerOf("a"), annotated, layerOf("c")}, Platform: "linux/amd64"})
	push := image.Push{
		Target:      "@@//app:push",
		Destination: pushspec.Destination{Registry: "ghcr.io", Repository: "acme/app"},
		Images:      []image.Image{made},
		Layers:      layers,
		MadeBy:      []string{"@@//app:a", "@@//app:b", "@@//app:private", "@@//app:public"},
		Uncached:    map[string]string{"@@//app:b": "no-cache", "@@//app:private": "no-remote"},
	}
	spec, err := image.PushSpec(push)
	if err != nil {
		t.Fatal(err)
	}
	type origin struct{ Target, Uncached string }
	var got []origin
	for _, blob := range spec.Blobs[1:] {
		got = append(got, origin{blob.Target(), blob.Uncached()})
	}
	// Two targets make the last layer, and one of them gets it into the cache.
	if diff := cmp.Diff([]origin{{"//app:a", ""}, {"//app:b", "no-cache"}, {"//app:public", ""}}, got); diff != "" {
		t.Error(diff)
	}
	if spec.Blobs[2].Annotations["of"] != "the manifest" {
		t.Errorf("the second layer's annotations are %v", spec.Blobs[2].Annotations)
	}

	push.MadeBy = push.MadeBy[:2]
	if _, err := image.PushSpec(push); err == nil || !strings.Contains(err.Error(), "2 targets were given for 4 layers") {
		t.Errorf("error is %v", err)
	}
}
