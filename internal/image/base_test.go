package image_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/image"
	"github.com/drayage/drayage/internal/layer"
)

// baseOf is a base with a config that somebody else wrote.
func baseOf(t *testing.T, config []byte) *image.Base {
	t.Helper()
	parsed, err := v1.ParseConfigFile(bytes.NewReader(config))
	if err != nil {
		t.Fatal(err)
	}
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.DockerManifestSchema2, Config: image.Describe(types.DockerConfigJSON, config)}
	for i := range parsed.RootFS.DiffIDs {
		manifest.Layers = append(manifest.Layers, v1.Descriptor{MediaType: types.DockerLayer, Digest: hash(fmt.Sprint(i + 1)), Size: 100})
	}
	data, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	return &image.Base{Manifest: data, Config: config}
}

// tree is a JSON document with its numbers as they are written.
func tree(t *testing.T, data []byte) map[string]any {
	t.Helper()
	asWritten := json.UnmarshalFromFunc(func(decoder *jsontext.Decoder, value *any) error {
		if decoder.PeekKind() != jsontext.KindNumber {
			return errors.ErrUnsupported
		}
		number, err := decoder.ReadValue()
		*value = string(number)
		return err
	})
	var tree map[string]any
	if err := json.Unmarshal(data, &tree, json.WithUnmarshalers(asWritten), jsontext.AllowInvalidUTF8(true)); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return tree
}

// said is what remains of a document without members that say nothing.
func said(value any) any {
	object, ok := value.(map[string]any)
	if !ok {
		return value
	}
	left := map[string]any{}
	for name, value := range object {
		switch v := said(value).(type) {
		case nil:
		case bool:
			if v {
				left[name] = v
			}
		case string:
			if v != "" {
				left[name] = v
			}
		case map[string]any:
			if len(v) > 0 || strings.Contains(name, "/") { // a port or a volume
				left[name] = v
			}
		default:
			left[name] = v
		}
	}
	return left
}

// configs are those of testdata, each as the tool that it is named for writes it.
func configs(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/configs/*.json")
	if err != nil || len(files) < 9 {
		t.Fatalf("%d configs, error %v", len(files), err)
	}
	configs := map[string][]byte{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		configs[strings.TrimSuffix(filepath.Base(file), ".json")] = data
	}
	return configs
}

func TestWhatEveryToolWritesIntoABaseIsInTheImage(t *testing.T) {
	for name, config := range configs(t) {
		t.Run(name, func(t *testing.T) {
			made, _, _ := assemble(t, image.Spec{Base: baseOf(t, config), Layers: []layer.Metadata{layerOf("a")}})
			want, got := tree(t, config), tree(t, made.Config)
			// What the layer on top adds, and the time.
			want["created"] = "1970-01-01T00:00:00Z"
			history := want["history"].([]any)
			want["history"] = append(history, map[string]any{"created": "1970-01-01T00:00:00Z", "created_by": "drayage"})
			rootfs := want["rootfs"].(map[string]any)
			rootfs["diff_ids"] = append(rootfs["diff_ids"].([]any), hash("a").String())
			if diff := cmp.Diff(said(want), said(got)); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
			// Twice the same, and once more upon what was made.
			again, _, _ := assemble(t, image.Spec{Base: &image.Base{Manifest: made.Manifest, Config: made.Config}})
			if !bytes.Equal(again.Config, made.Config) || !bytes.Equal(again.Manifest, made.Manifest) {
				t.Errorf("an image upon it that adds nothing is another:\n%s\n%s", made.Config, again.Config)
			}
		})
	}
}

// What was written before configs were merged as JSON, where it lost nothing.
func TestABaseOfWhichAllWasKnownGivesTheDigestThatItGave(t *testing.T) {
	configs := configs(t)
	for name, want := range map[string]string{
		"apko":           "sha256:830dfed337acc584ff07ff99c9457878a01b091e7ea085f9e3fb750df050d830",
		"buildah":        "sha256:3507b567e62ab3daacc933cc0f89d8e41a324ae65c58f87b7e9d5e4b9cd1845c",
		"docker-windows": "sha256:9cae917504624ae8f3959a1952b4670e68a283ee2af14c3a2c0f43a321588c58",
		"jib":            "sha256:3f9341a441d379f0738a206f7df4c041cb925a7bc93ac926e350a47704fb387a",
		"kaniko":         "sha256:a2efca6e033b15a7150df8966f4ab10868d70be5e3aa6f43dde9690a1afd2c56",
		"ko":             "sha256:0639a1b9bd11f36f8ccae15cae559a3089854a54feeee6908545ec74f3c680aa",
	} {
		made, _, _ := assemble(t, image.Spec{
			Base: baseOf(t, configs[name]), Layers: []layer.Metadata{layerOf("a")}, Env: []string{"GREETING=<hello>"}, Labels: map[string]string{"a": "1&2"},
		})
		if got := image.Describe("", made.Manifest).Digest.String(); got != want {
			t.Errorf("%s: the manifest is %s, want %s:\n%s", name, got, want, made.Config)
		}
	}
}

const oneLayer = `"rootfs":{"type":"layers","diff_ids":["sha256:1111111111111111111111111111111111111111111111111111111111111111"]}`

func TestNumbersAndNamesOfABaseKeepTheirDigitsAndTheirPlaces(t *testing.T) {
	made, _, _ := assemble(t, image.Spec{Base: baseOf(t, []byte(`{
		"zebra": 1, "os": "linux", "architecture": "amd64", "created": null, "variant": "",
		"big": 12345678901234567890123456789, "small": 1.10, "wide": 1e400, "Unknown": {"b": [], "a": null, "text": "\u003c\ud83d\ude00"},
		"config": {"StopTimeout": 0, "CpuShares": 9007199254740993, "Tty": false, "Cmd": null, "Labels": {"b": "", "a": ""}},
		"rootfs": {"vendor": true, "diff_ids": [], "type": "layers"}
	}`))})
	want := `{"architecture":"amd64","created":"1970-01-01T00:00:00Z","os":"linux","rootfs":{"type":"layers","diff_ids":[],"vendor":true},` +
		`"config":{"Labels":{"a":"","b":""},"StopTimeout":0,"CpuShares":9007199254740993},` +
		`"zebra":1,"big":12345678901234567890123456789,"small":1.10,"wide":1e400,"Unknown":{"b":[],"a":null,"text":"<😀"}}`
	if diff := cmp.Diff(want, string(made.Config)); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

func TestNamesThatProgramsTakeForAFieldAreThatField(t *testing.T) {
	_, _, config := assemble(t, image.Spec{
		Base: baseOf(t, []byte(`{"OS": "linux", "Architecture": "amd64", "Config": {"env": ["A=1"], "entrypoint": ["/a"]}, "RootFS": {"Type": "layers", "Diff_IDs": ["`+hash("1").String()+`"]}}`)),
		Env:  []string{"B=2"}, Entrypoint: []string{"/b"}, Layers: []layer.Metadata{layerOf("a")},
	})
	if diff := cmp.Diff(v1.Config{Env: []string{"A=1", "B=2"}, Entrypoint: []string{"/b"}}, config.Config); diff != "" || len(config.RootFS.DiffIDs) != 2 {
		t.Errorf("config %+v (-want +got):\n%s", config, diff)
	}
}

func TestABaseWithoutTheTypeOfItsLayersGetsTheOneThatThereIs(t *testing.T) {
	made, _, _ := assemble(t, image.Spec{Base: baseOf(t, []byte(`{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":["`+hash("1").String()+`"]}}`))})
	if want := `"rootfs":{"type":"layers","diff_ids":["` + hash("1").String() + `"]}`; !strings.Contains(string(made.Config), want) {
		t.Errorf("the config is %s", made.Config)
	}
}

func TestHistoryIsAddedToAsItIs(t *testing.T) {
	ours := `{"created":"1970-01-01T00:00:00Z","created_by":"drayage"}`
	for name, row := range map[string]struct{ history, want string }{
		"without times, and with what nobody knows": {
			`"history":[{"created_by":"a","vendor":{"x":1}},{"comment":"c","empty_layer":true}],`,
			`[{"created_by":"a","vendor":{"x":1}},{"comment":"c","empty_layer":true},` + ours + `]`,
		},
		"of fewer layers than there are": {
			`"history":[{"created_by":"a","empty_layer":true}],`,
			`[{"created_by":"a","empty_layer":true},{"comment":"a layer of the base"},` + ours + `]`,
		},
		"of no layer at all":       {``, `[{"comment":"a layer of the base"},` + ours + `]`},
		"that is null":             {`"history":null,`, `[{"comment":"a layer of the base"},` + ours + `]`},
		"with a line that is null": {`"history":[null],`, `[{},` + ours + `]`},
		"of more layers than there are": {
			`"history":[{"created_by":"a"},{"created_by":"b"},{"created_by":"c"}],`,
			`[{"created_by":"a"},{"created_by":"b","empty_layer":true},{"created_by":"c","empty_layer":true},` + ours + `]`,
		},
	} {
		made, _, _ := assemble(t, image.Spec{
			Base: baseOf(t, []byte(`{"os":"linux","architecture":"amd64",`+row.history+oneLayer+`}`)), Layers: []layer.Metadata{layerOf("a")},
		})
		_, rest, _ := strings.Cut(string(made.Config), `"history":`)
		if got, _, _ := strings.Cut(rest, `,"os"`); got != row.want {
			t.Errorf("history %s is\n%s\nwant\n%s", name, got, row.want)
		}
	}
}

func TestABaseThatCannotBeReadIsRefusedWithItsPlace(t *testing.T) {
	good := baseOf(t, []byte(`{"os":"linux","architecture":"amd64",`+oneLayer+`}`))
	for name, row := range map[string]struct{ manifest, config, want string }{
		"a config over the limit":     {"", `{"x":"` + strings.Repeat("y", image.MaxDocument) + `"}`, "read config of the base: 4194312 bytes are over the limit of 4.0 MiB"},
		"a manifest over the limit":   {`{"x":"` + strings.Repeat("y", image.MaxDocument) + `"}`, "", "read manifest of the base: 4194312 bytes are over the limit of 4.0 MiB"},
		"a config that is too deep":   {"", `{"x":` + strings.Repeat(`{"y":`, 150) + "1" + strings.Repeat("}", 151), "objects and lists must be at most 100 levels deep"},
		"a field that is there twice": {"", `{"config":{"Env":[],"Env":["A=1"]}}`, "read config of the base: at byte 20, /config/Env: the name is used twice"},
		"a manifest with one twice":   {`{"layers":[],"layers":[]}`, "", "read manifest of the base: at byte 13, /layers: the name is used twice"},
		"a config that is a list":     {"", `[]`, "read config of the base: it must be a JSON object, not a list"},
		"a field of another kind":     {"", `{"config":{"Env":"A=1"}}`, "read config of the base: json: cannot unmarshal string"},
	} {
		base := *good
		if row.manifest != "" {
			base.Manifest = []byte(row.manifest)
		}
		if row.config != "" {
			base.Config = []byte(row.config)
		}
		if _, err := image.Assemble(image.Spec{Base: &base}); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: the error is %.300v, want it to contain %s", name, err, row.want)
		}
	}
}

func TestTheDescriptorsOfABasesLayersKeepAllThatTheySay(t *testing.T) {
	base := baseOf(t, []byte(`{"os":"linux","architecture":"amd64",`+oneLayer+`}`))
	layerAt := bytes.Index(base.Manifest, []byte(`"layers":[{`)) + len(`"layers":[{`)
	base.Manifest = []byte(string(base.Manifest[:layerAt]) +
		`"vendor":{"n":12345678901234567890},"annotations":{"z":"<&>","a":"1"},"urls":["https://layers.example/1"],"data":"YQ==","artifactType":"x/y",` + string(base.Manifest[layerAt:]))
	made, _, _ := assemble(t, image.Spec{Base: base, Layers: []layer.Metadata{layerOf("a")}})
	_, layers, _ := strings.Cut(string(made.Manifest), `"layers":`)
	want := `[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":100,"digest":"` + hash("1").String() + `",` +
		`"urls":["https://layers.example/1"],"annotations":{"a":"1","z":"<&>"},"artifactType":"x/y","vendor":{"n":12345678901234567890}},` +
		`{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":100,"digest":"` + hash("a").String() + `"}]}`
	if diff := cmp.Diff(want, layers); diff != "" {
		t.Errorf("layers (-want +got):\n%s", diff)
	}
}

func TestTheLayersOfABaseHaveOCIsMediaTypes(t *testing.T) {
	base := baseOf(t, []byte(`{"os":"linux","architecture":"amd64",`+oneLayer+`}`))
	for docker, oci := range map[types.MediaType]types.MediaType{
		"application/vnd.docker.image.rootfs.diff.tar":              "application/vnd.oci.image.layer.v1.tar",
		"application/vnd.docker.image.rootfs.diff.tar.gzip":         "application/vnd.oci.image.layer.v1.tar+gzip",
		"application/vnd.docker.image.rootfs.diff.tar.zstd":         "application/vnd.oci.image.layer.v1.tar+zstd",
		"application/vnd.docker.image.rootfs.foreign.diff.tar":      "application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		"application/vnd.docker.image.rootfs.foreign.diff.tar.zstd": "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
		// What is OCI's already, and what nobody here knows.
		"application/vnd.oci.image.layer.v1.tar+zstd":           "application/vnd.oci.image.layer.v1.tar+zstd",
		"application/vnd.oci.image.layer.v1.tar+gzip+encrypted": "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
		"application/vnd.example.layer":                         "application/vnd.example.layer",
	} {
		manifest := bytes.ReplaceAll(base.Manifest, []byte(types.DockerLayer), []byte(docker))
		_, made, _ := assemble(t, image.Spec{Base: &image.Base{Manifest: manifest, Config: base.Config}})
		if got := made.Layers[0].MediaType; got != oci || made.MediaType != types.OCIManifestSchema1 || made.Config.MediaType != types.OCIConfigJSON {
			t.Errorf("%s becomes %s, want %s", docker, got, oci)
		}
	}
}

func TestANameThatABasesEnvironmentHasTwiceIsSetOnce(t *testing.T) {
	_, _, config := assemble(t, image.Spec{
		Base: baseOf(t, []byte(`{"os":"linux","architecture":"amd64","config":{"Env":["A=1","B=1","A=2","AA=3"]},`+oneLayer+`}`)),
		Env:  []string{"A=${A}0"},
	})
	if diff := cmp.Diff([]string{"A=20", "B=1", "AA=3"}, config.Config.Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

// FuzzAssemble holds that whatever is taken for a config, or a part of one, gives a
// config that is taken for one again and stays as it is.
func FuzzAssemble(f *testing.F) {
	f.Add([]byte(`{"os":"linux","architecture":"amd64","history":[{"created_by":"a"}],`+oneLayer+`}`), []byte(`{"config":{"Healthcheck":{"Test":["NONE"]},"Labels":null}}`))
	f.Add([]byte(`{"OS":"linux","config":{"env":["A"],"\xff":1},`+oneLayer+`}`), []byte(`{"created":null,"x":{"y":{"z":null}}}`))
	f.Fuzz(func(t *testing.T, config, fragment []byte) {
		manifest := fmt.Appendf(nil, `{"config":{"digest":%q},"layers":[{"mediaType":"x","size":1,"digest":%q}]}`, image.Describe("", config).Digest, hash("1"))
		made, err := image.Assemble(image.Spec{
			Base: &image.Base{Manifest: manifest, Config: config}, Fragment: fragment, Layers: []layer.Metadata{layerOf("a")},
			Env: []string{"A=${B}"}, Labels: map[string]string{"a": "b"}, Entrypoint: []string{"c"},
		})
		if err != nil {
			return
		}
		again, err := image.Assemble(image.Spec{Base: &image.Base{Manifest: made.Manifest, Config: made.Config}, Fragment: []byte("{}")})
		if err != nil {
			t.Fatalf("what was made is no base: %v\n%s", err, made.Config)
		}
		if strings.Contains(string(made.Config), `"created":"1970-01-01T00:00:00Z","history"`) && !bytes.Equal(again.Config, made.Config) {
			t.Fatalf("what was made is another once more:\n%s\n%s", made.Config, again.Config)
		}
	})
}
