package haul_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/pushspec"
)

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
	failed, ok := errors.AsType[*haul.Error](err)
	if !ok || failed.Class != haul.Evicted {
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
		failed, ok := errors.AsType[*haul.Error](err)
		if !ok || failed.Class != haul.Malformed || !strings.Contains(err.Error(), spec.Blobs[0].Digest.String()) {
			t.Errorf("got error %v, want one of class %s that names the layer", err, haul.Malformed)
		}
		if _, status := get(t, host, "acme/app/manifests/v1"); status != http.StatusNotFound {
			t.Error("something was written under the tag")
		}
	}
}
