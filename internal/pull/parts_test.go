package pull_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/pull"
	"github.com/drayage/drayage/pushspec"
)

// importable is an image as files that may be given to image_import.
type importable struct {
	pull.Parts

	blobs []string
}

func (i importable) check() error {
	checked, err := i.Read()
	if err != nil {
		return err
	}
	return pull.CheckBlobs(i.blobs, checked.Layers)
}

func newImportable(t *testing.T) importable {
	t.Helper()
	s := startTampered(t, imageFor(t, amd64))
	dir, written, err := pullWhole(t, s.request())
	if err != nil {
		t.Fatal(err)
	}
	i := importable{Parts: pull.Parts{Manifest: filepath.Join(dir, written[0].Manifest), Config: filepath.Join(dir, written[0].Config)}}
	for n := range written[0].Layers {
		i.Layers = append(i.Layers, filepath.Join(dir, written[0].Layers[n]))
		i.blobs = append(i.blobs, filepath.Join(dir, written[0].Blobs[n]))
	}
	return i
}

// replace writes a text in the place of another one in a file.
func replace(t *testing.T, path, old, text string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("cannot load to %s in %s", old, data)
	}
	overwrite(t, path, strings.Replace(string(data), old, text, 1))
}

func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// reconfigure has the manifest name another config.
func reconfigure(t *testing.T, i *importable, config string) {
	t.Helper()
	overwrite(t, i.Config, config)
	data, err := os.ReadFile(i.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	manifest.Config.Digest, manifest.Config.Size, err = v1.SHA256(strings.NewReader(config))
	if err != nil {
		t.Fatal(err)
	}
	if data, err = json.Marshal(manifest); err != nil {
		t.Fatal(err)
	}
	overwrite(t, i.Manifest, string(data))
}

func TestThePartsOfAnImageBelongTogether(t *testing.T) {
	if err := newImportable(t).check(); err != nil {
		t.Errorf("good parts are refused: %v", err)
	}
	for _, row := range []struct {
		name  string
		spoil func(i *importable)
		want  string
	}{
		{"a manifest that is a page", func(i *importable) { overwrite(t, i.Manifest, "<html>") }, "manifest.json: it is not an image manifest: jsontext: invalid character '<'"},
		{"an empty manifest", func(i *importable) { overwrite(t, i.Manifest, "") }, "it is not an image manifest"},
		{"a manifest that is a list", func(i *importable) { overwrite(t, i.Manifest, "[]") }, "it is not an image manifest"},
		{"a manifest that says the same twice", func(i *importable) { replace(t, i.Manifest, "{", `{"layers":[],`) }, "duplicate"},
		{"an endless manifest", func(i *importable) { overwrite(t, i.Manifest, strings.Repeat(" ", pushspec.MaxDataSize+1)) }, "manifest.json must have at most 4194304 bytes"},
		{"an index", func(i *importable) { overwrite(t, i.Manifest, `{"schemaVersion": 2, "manifests": []}`) }, "it is an index: give the manifest of one of its images"},
		{"docker's first schema", func(i *importable) { overwrite(t, i.Manifest, `{"schemaVersion": 1, "fsLayers": []}`) }, "its schemaVersion is 1"},
		{"an artifact", func(i *importable) {
			replace(t, i.Manifest, "vnd.docker.container.image.v1", "vnd.cncf.helm.config.v1")
		}, "it is not the manifest of a container image: its config is a"},
		{"a config in the place of the manifest", func(i *importable) { i.Manifest = i.Config }, "it is not an image manifest: its schemaVersion is 0"},
		{"a config with another byte", func(i *importable) { replace(t, i.Config, "amd64", "arm64") }, "config.json is not the one that the manifest names: "},
		{"a config with one byte more", func(i *importable) { replace(t, i.Config, "{", "{ ") }, "config.json is not the one that the manifest names: it has"},
		{"a config that is none", func(i *importable) { reconfigure(t, i, `{"name": "app"}`) }, "config.json belongs to another image: it has 0 diff IDs, but the manifest has 2 layers"},
		{"a config that is a text", func(i *importable) { reconfigure(t, i, "hello") }, "config.json: it is not an image config: jsontext"},
		{"a config of another number of layers", func(i *importable) {
			reconfigure(t, i, `{"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}`)
		}, "config.json belongs to another image: it has 0 diff IDs"},
		{"metadata of one layer too few", func(i *importable) { i.Layers = i.Layers[:1] }, "the metadata of 1 layers were given, but the manifest has 2; give one file for each layer, the lowest first"},
		{"metadata in the wrong order", func(i *importable) { i.Layers[0], i.Layers[1] = i.Layers[1], i.Layers[0] }, "1.layer.json of layer 0: they describe sha256:"},
		{"metadata with another size", func(i *importable) { replace(t, i.Layers[1], `"size":`, `"size":1`) }, "of layer 1: they say 1"},
		{"metadata with another diff id", func(i *importable) {
			replace(t, i.Layers[1], `"diffId":"sha256:`, `"diffId":"sha256:`+strings.Repeat("0", 64)+`","x":"`)
		}, "of layer 1: read layer metadata"},
		{"metadata that are no JSON", func(i *importable) { overwrite(t, i.Layers[0], "text") }, "of layer 0: read layer metadata"},
		{"a layer that is cut", func(i *importable) { overwrite(t, i.blobs[1], "short") }, "1.blob is not a layer of the manifest: no layer has its 5 bytes"},
		{"a layer with another byte", func(i *importable) {
			data, err := os.ReadFile(i.blobs[1])
			if err != nil {
				t.Fatal(err)
			}
			data[0]++
			overwrite(t, i.blobs[1], string(data))
		}, "1.blob is not a layer of the manifest: it is sha256:"},
		{"a layer of another image", func(i *importable) { i.blobs[0] = newImportable(t).blobs[0] }, "is not a layer of the manifest"},
		{"a layer that is not there", func(i *importable) { i.blobs[0] += ".gone" }, "no such file"},
	} {
		t.Run(row.name, func(t *testing.T) {
			i := newImportable(t)
			row.spoil(&i)
			if err := i.check(); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error is %v, want it to contain\n%s", err, row.want)
			}
		})
	}
}
