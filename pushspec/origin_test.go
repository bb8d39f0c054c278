package pushspec_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/drayage/drayage/pushspec"
)

func TestABlobTellsWhoMakesIt(t *testing.T) {
	for _, row := range []struct{ annotation, want string }{
		{"", ""},
		{"@@//app:layer", "//app:layer"},
		{"//app:layer", "//app:layer"},
		{"@@rules~1.0//app:layer", "@@rules~1.0//app:layer"},
		{"//app:a\x1b[2Jb\n", "//app:a\uFFFD[2Jb\uFFFD"},
	} {
		blob := pushspec.Blob{}
		blob.Annotations = map[string]string{pushspec.TargetAnnotation: row.annotation, pushspec.UncachedAnnotation: "no-cache"}
		if got := blob.Target(); got != row.want {
			t.Errorf("of %q the target is %q, want %q", row.annotation, got, row.want)
		}
		if got := blob.Uncached(); got != "no-cache" {
			t.Errorf("the tag is %q", got)
		}
	}
	if blob := (pushspec.Blob{}); blob.Target() != "" || blob.Uncached() != "" {
		t.Error("a blob that says nothing names a target")
	}
}

func TestWhoMakesABlobIsBounded(t *testing.T) {
	for _, name := range []string{pushspec.TargetAnnotation, pushspec.UncachedAnnotation} {
		spec := valid(t)
		spec.Blobs[1].Annotations = map[string]string{name: strings.Repeat("a", 1025)}
		_, err := spec.Encode()
		if invalid, ok := errors.AsType[*pushspec.Error](err); !ok || invalid.Field != "blobs[1].annotations["+name+"]" {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

// A daemon refuses fields that it does not know. What is new here is in a field that
// descriptors always had, so that older daemons take these specs.
func TestWhoMakesABlobIsNoNewField(t *testing.T) {
	spec := valid(t)
	spec.Blobs[1].Annotations = map[string]string{pushspec.TargetAnnotation: "@@//app:layer", pushspec.UncachedAnnotation: "no-cache"}
	data, err := spec.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Blobs []map[string]jsontext.Value `json:"blobs"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	for field := range document.Blobs[1] {
		if !slices.Contains([]string{"mediaType", "size", "digest", "data", "urls", "annotations", "platform", "artifactType", "sources"}, field) {
			t.Errorf("a blob has the field %q, which version 1 did not have at first", field)
		}
	}
}
