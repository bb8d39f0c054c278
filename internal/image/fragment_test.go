package image_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/image"
)

func TestAFragmentLiesBetweenTheBaseAndTheAttributes(t *testing.T) {
	base, _, _ := assemble(t, image.Spec{
		Platform: "linux/amd64",
		Fragment: []byte(`{"author": "base", "config": {"Labels": {"a": "base", "b": "base"}, "Shell": ["/bin/sh", "-c"], "User": "base"}}`),
	})
	_, _, config := assemble(t, image.Spec{
		Base: &image.Base{Manifest: base.Manifest, Config: base.Config},
		Fragment: []byte(`{
			"os.version": "10",
			"config": {"Healthcheck": {"Test": ["CMD", "/health"], "Retries": 3}, "Labels": {"b": "fragment", "c": "fragment"}, "User": "fragment"}
		}`),
		Labels: map[string]string{"c": "attribute"},
		User:   "attribute",
	})
	if config.Author != "base" || config.OSVersion != "10" || config.Config.User != "attribute" {
		t.Errorf("the config is %+v", config)
	}
	if h := config.Config.Healthcheck; h == nil || h.Retries != 3 || len(h.Test) != 2 {
		t.Errorf("the health check is %+v", h)
	}
	if diff := cmp.Diff(map[string]string{"a": "base", "b": "fragment", "c": "attribute"}, config.Config.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/bin/sh", "-c"}, config.Config.Shell); diff != "" {
		t.Errorf("shell (-want +got):\n%s", diff)
	}
}

func TestAFragmentCannotSayWhatIsDecidedElsewhere(t *testing.T) {
	for fragment, want := range map[string]string{
		`{"rootfs": {}}`:                   `"rootfs"`,
		`{"architecture": "arm64"}`:        `"architecture"`,
		`{"config": {"Healthchek": null}}`: `"Healthchek"`,
		`{"config": {}} {}`:                "after its JSON object",
		``:                                 "EOF",
		`[]`:                               "cannot unmarshal array",
	} {
		_, err := image.Assemble(image.Spec{Platform: "linux/amd64", Fragment: []byte(fragment)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("fragment %q: the error is %v, which does not say %s", fragment, err, want)
		}
	}
}
