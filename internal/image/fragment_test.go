package image_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/image"
	"github.com/drayage/drayage/internal/layer"
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

func TestAFragmentHasAnyFieldThatIsDecidedNowhereElse(t *testing.T) {
	base, _, _ := assemble(t, image.Spec{
		Platform: "linux/amd64", User: "base", WorkingDir: "/base", Labels: map[string]string{"gone": "1", "kept": "1"},
		Fragment: []byte(`{"vendor": {"a": 1, "b": [1]}, "config": {"StopTimeout": 5, "OnBuild": ["RUN x"], "Memory": 12345678901234567890}}`),
	})
	made, _, _ := assemble(t, image.Spec{
		Base: &image.Base{Manifest: base.Manifest, Config: base.Config},
		Fragment: []byte(`{
			"author": "somebody", "vendor": {"b": [2], "c": {"d": null, "e": 1.10}}, "created": "2026-02-03T04:05:06Z",
			"config": {"User": null, "StopTimeout": 30, "healthcheck": {"StartInterval": 7}, "ArgsEscaped": true, "Labels": {"gone": null}, "Nothing": null}
		}`),
	})
	want := `{"architecture":"amd64","author":"somebody","created":"2026-02-03T04:05:06Z","os":"linux","rootfs":{"type":"layers","diff_ids":[]},` +
		`"config":{"Healthcheck":{"StartInterval":7},"Labels":{"kept":"1"},"OnBuild":["RUN x"],"WorkingDir":"/base","ArgsEscaped":true,"StopTimeout":30,"Memory":12345678901234567890},` +
		`"vendor":{"a":1,"b":[2],"c":{"e":1.10}}}`
	if diff := cmp.Diff(want, string(made.Config)); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

func TestAnImageBearsNoTimeWhereAFragmentTakesItAway(t *testing.T) {
	made, _, _ := assemble(t, image.Spec{Platform: "linux/amd64", Layers: []layer.Metadata{layerOf("a")}, Fragment: []byte(`{"created": null}`)})
	if strings.Contains(string(made.Config), `"created"`) {
		t.Errorf("the config is %s", made.Config)
	}
}

func TestAFragmentThatCannotBeIsRefused(t *testing.T) {
	for fragment, want := range map[string]string{
		`{"rootfs": {}}`:                           `it must not have "rootfs": the image's layers set it`,
		`{"history": []}`:                          `it must not have "history": the image's layers set it`,
		`{"architecture": "arm64"}`:                `it must not have "architecture": the image's platform sets it`,
		`{"OS": "plan9"}`:                          `it must not have "os": the image's platform sets it`,
		`{"variant": null}`:                        `it must not have "variant": the image's platform sets it`,
		`{"created": "yesterday"}`:                 `its "created", "yesterday", must be a time`,
		`{"config": {"User": "a", "USER": "b"}}`:   `config: it has both "User" and "USER"`,
		`{"config": {"Vendor": {"a": 1, "a": 2}}}`: "at byte 31, /config/Vendor/a: the name is used twice",
		`{"config": {"Entrypoint": "/app"}}`:       "the merged config is invalid: json: cannot unmarshal string",
		`{"config": []}`:                           "the merged config is invalid: json: cannot unmarshal array",
		`{"config": {}} {}`:                        "it must be one JSON object, with nothing after it",
		`{"config": {}`:                            "it is not valid JSON at byte 13",
		``:                                         "but is empty",
		" \n":                                      "but is empty",
		`[]`:                                       "it must be a JSON object, not a list",
		`7`:                                        "it must be a JSON object, not a number",
		`{"x": "` + strings.Repeat("y", 4<<20) + `"}`:                        "bytes are over the limit of 4.0 MiB",
		`{"x": ` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`: "at most 100 levels deep",
	} {
		_, err := image.Assemble(image.Spec{Platform: "linux/amd64", Fragment: []byte(fragment)})
		if err == nil || !strings.Contains(err.Error(), "read config fragment: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("fragment %.60q: the error is %v, which does not say %s", fragment, err, want)
		}
	}
	spec := image.Spec{Platform: "linux/amd64", Fragment: []byte(`{"created": "2026-02-03T04:05:06Z"}`), Created: time.Unix(1, 0)}
	if _, err := image.Assemble(spec); err == nil || !strings.Contains(err.Error(), "which the attribute created or created_file decides") {
		t.Errorf("the error is %v", err)
	}
}
