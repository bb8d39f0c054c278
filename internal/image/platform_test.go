package image_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/image"
)

func TestABaseForAnotherPlatformIsTold(t *testing.T) {
	base := &image.Base{Config: []byte(`{"os":"linux","architecture":"arm64","variant":"v8"}`)}
	if err := base.CheckPlatform("linux/arm64"); err != nil {
		t.Errorf("the error is %v", err)
	}
	err := base.CheckPlatform("linux/amd64")
	want := "the base is for linux/arm64/v8, but the image is for linux/amd64"
	if mismatch, ok := errors.AsType[*image.PlatformError](err); !ok || mismatch.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
	armv8 := &image.Base{Config: []byte(`{"os":"linux","architecture":"arm"}`), Platform: []byte(`{"os":"linux","architecture":"arm","variant":"v8"}`)}
	err = armv8.CheckPlatform("linux/arm/v7")
	if mismatch, ok := errors.AsType[*image.PlatformError](err); !ok || mismatch.Base != "linux/arm/v8" {
		t.Errorf("the error is %v", err)
	}
	if err := (&image.Base{Config: []byte(`[]`)}).CheckPlatform("linux/amd64"); err == nil || !strings.Contains(err.Error(), "base: read config") {
		t.Errorf("the error is %v", err)
	}
}

func TestAVariantThatOnlyAnIndexHasIsInTheImageAndInItsIndex(t *testing.T) {
	base := baseOf(t, []byte(`{"os":"linux","architecture":"arm",`+oneLayer+`}`))
	base.Platform = []byte(`{"architecture":"arm","os":"linux","variant":"v6"}`)
	made, _, config := assemble(t, image.Spec{Base: base})
	if config.Variant != "v6" {
		t.Errorf("the config is %s", made.Config)
	}
	plain := baseOf(t, []byte(`{"os":"windows","architecture":"amd64",`+oneLayer+`}`))
	index, err := image.Index([]image.Image{
		made,
		{Manifest: plain.Manifest, Config: plain.Config, Platform: []byte(`{"os":"windows","architecture":"amd64","os.version":"10.0.17763.4377","os.features":["win32k"]}`)},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := v1.ParseIndexManifest(bytes.NewReader(index))
	if err != nil {
		t.Fatal(err)
	}
	want := []*v1.Platform{
		{OS: "linux", Architecture: "arm", Variant: "v6"},
		{OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763.4377", OSFeatures: []string{"win32k"}},
	}
	if diff := cmp.Diff(want, []*v1.Platform{parsed.Manifests[0].Platform, parsed.Manifests[1].Platform}); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
	base.Platform = []byte(`{"os":7}`)
	if _, err := image.Assemble(image.Spec{Base: base}); err == nil || !strings.Contains(err.Error(), "read platform") {
		t.Errorf("the error is %v", err)
	}
}
