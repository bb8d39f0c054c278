package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/layer"
	"github.com/drayage/drayage/pushspec"
)

// What is made of an imported image waits until its files have proved to be of one
// image, and a push has the layers from them.
func TestTheFilesOfAnImportedImageAreChecked(t *testing.T) {
	t.Parallel()
	registry := rig.StartRegistry(t)
	w := rig.NewWorkspace(t)
	image, err := random.Image(100_000, 2)
	check(t, err)
	writeImported(t, w, image)
	w.Write(t, "imported/BUILD.bazel", fmt.Sprintf(`
load("@drayage//rules:image.bzl", "image_import", "image_manifest")
load("@drayage//rules:push.bzl", "image_push")

image_import(
    name = "base",
    blobs = ["0.blob", "1.blob"],
    config = "config.json",
    layers = ["0.json", "1.json"],
    manifest = "manifest.json",
)

image_manifest(
    name = "upon",
    base = ":base",
)

[
    image_push(
        name = "push_" + image,
        image = image,
        registry = %q,
        repository = "imported/" + image,
        tag = "latest",
    )
    for image in ["base", "upon"]
]
`, registry.Host))
	push := func(image string) rig.BazelResult {
		return w.TryBazel(t, "run", "--@drayage//rules/settings:push_strategy=eager", "//imported:push_"+image)
	}
	for _, name := range []string{"base", "upon"} {
		if result := push(name); result.ExitCode != 0 {
			t.Fatalf("push of %s: exit code %d\n%s", name, result.ExitCode, result.Stderr)
		}
		pushed := rig.PullImage(t, registry.Host+"/imported/"+name+":latest")
		if name == "base" {
			wantSame(t, image, pushed)
		}
		wantWhole(t, pushed)
	}

	good := map[string]string{}
	for _, name := range []string{"0.blob", "0.json", "config.json", "manifest.json"} {
		good[name] = w.Read(t, "imported/"+name)
	}
	for _, row := range []struct{ name, file, text, want string }{
		{"a manifest that is a page", "manifest.json", "<html>", "manifest imported/manifest.json: it is not an image manifest"},
		{"an index", "manifest.json", `{"schemaVersion": 2, "manifests": []}`, "manifest imported/manifest.json: it is an index"},
		{"another config", "config.json", strings.Replace(good["config.json"], `"`, ` "`, 1), "config imported/config.json does not belong to the manifest"},
		{"metadata of another layer", "0.json", w.Read(t, "imported/1.json"), "metadata file imported/0.json of layer 0: it describes layer "},
		{"a layer that is cut", "0.blob", good["0.blob"][:1000], "blob imported/0.blob is not a layer of the manifest: no layer has its size, 1000 bytes"},
		{"a layer with another byte", "0.blob", "X" + good["0.blob"][1:], "blob imported/0.blob is not a layer of the manifest: its digest is sha256:"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w.Write(t, "imported/"+row.file, row.text)
			defer w.Write(t, "imported/"+row.file, good[row.file])
			for _, image := range []string{"base", "upon"} {
				if result := push(image); result.ExitCode == 0 || !strings.Contains(result.Stderr, "drayage: "+row.want) {
					t.Errorf("push of %s: exit code %d, want %s\n%s", image, result.ExitCode, row.want, result.Stderr)
				}
			}
		})
	}
}

// A registry that answers with something else than the layer fails the pull, and
// nothing of it stays.
func TestALayerThatIsPulledIsTheManifests(t *testing.T) {
	t.Parallel()
	registry := rig.StartRegistry(t)
	digest, layers := pushBase(t, registry.Host)
	proxy := rig.StartProxy(t, registry.Host)
	w := rig.NewWorkspace(t)
	w.Write(t, "MODULE.bazel", w.Read(t, "MODULE.bazel")+fmt.Sprintf(`
pull = use_repo_rule("@drayage//rules:pull.bzl", "pull")

pull(
    name = "base",
    digest = %q,
    layer_handling = "eager",
    platforms = ["linux/amd64"],
    registry = %q,
    repository = "library/base",
)
`, digest, proxy.Host))
	wrong := func(answer func(w http.ResponseWriter, right []byte)) rig.Fault {
		return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(layers)), func(digest string) bool { return strings.HasSuffix(r.URL.Path, "/blobs/"+digest) }) {
				next.ServeHTTP(w, r)
				return
			}
			response, err := http.Get("http://" + registry.Host + r.URL.Path)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			defer func() { _ = response.Body.Close() }()
			right, err := io.ReadAll(response.Body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			answer(w, right)
		}
	}
	for _, row := range []struct {
		name   string
		answer func(w http.ResponseWriter, right []byte)
		want   string
	}{
		{"a page", func(w http.ResponseWriter, _ []byte) { _, _ = io.WriteString(w, "<html>Sign in</html>") }, "answered with an HTML page: check that it is the registry, not a proxy or a login page"},
		{"more bytes", func(w http.ResponseWriter, right []byte) { _, _ = w.Write(append(bytes.Clone(right), 0)) }, "the download is larger than the "},
		{"other bytes", func(w http.ResponseWriter, right []byte) { _, _ = w.Write(append([]byte("X"), right[1:]...)) }, "error verifying sha256 checksum"},
	} {
		t.Run(row.name, func(t *testing.T) {
			proxy.Break(wrong(row.answer))
			result := w.TryBazel(t, "build", "@base//...")
			for _, want := range []string{"@base: write image for linux/amd64: fetch layer sha256:", "from " + proxy.Host + "/library/base: ", row.want} {
				if result.ExitCode == 0 || !strings.Contains(result.Stderr, want) {
					t.Errorf("exit code %d, want %s\n%s", result.ExitCode, want, result.Stderr)
				}
			}
			base := strings.TrimSpace(w.Bazel(t, "info", "output_base").Stdout)
			left, err := filepath.Glob(filepath.Join(base, "external", "*base*", "*", "*blob*"))
			check(t, err)
			if len(left) > 0 {
				t.Errorf("this is left: %v", left)
			}
		})
	}
	proxy.Break(nil)
	w.Bazel(t, "build", "--output_groups=blobs", "@base//...")
}

// writeImported writes an image as files of a package, as image_import has them.
func writeImported(t *testing.T, w *rig.Workspace, image v1.Image) {
	t.Helper()
	raw, err := image.RawManifest()
	check(t, err)
	config, err := image.RawConfigFile()
	check(t, err)
	w.Write(t, "imported/manifest.json", string(raw))
	w.Write(t, "imported/config.json", string(config))
	manifest, err := image.Manifest()
	check(t, err)
	layers, err := image.Layers()
	check(t, err)
	for i, l := range layers {
		body, err := l.Compressed()
		check(t, err)
		blob, err := io.ReadAll(body)
		check(t, err)
		diffID, err := l.DiffID()
		check(t, err)
		w.Write(t, fmt.Sprintf("imported/%d.blob", i), string(blob))
		d := manifest.Layers[i]
		check(t, layer.Metadata{
			Blob:   pushspec.Blob{Descriptor: d, Sources: []pushspec.Source{{CAS: d.Digest.String()}}},
			DiffID: diffID,
		}.WriteFile(filepath.Join(w.Dir, "imported", fmt.Sprintf("%d.json", i))))
	}
}
