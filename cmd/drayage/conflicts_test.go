package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/image"
	"github.com/drayage/drayage/pushspec"
)

// specFile writes the push spec of an image that a label tells apart.
func specFile(t *testing.T, target, label, registry, repository string, tags ...string) string {
	t.Helper()
	made, err := image.Assemble(image.Spec{Platform: "linux/amd64", Labels: map[string]string{"is": label}})
	if err != nil {
		t.Fatal(err)
	}
	spec, err := image.PushSpec(image.Push{
		Target: target, Destination: pushspec.Destination{Registry: registry, Repository: repository, Tags: tags}, Images: []image.Image{made},
	})
	if err != nil {
		t.Fatal(err)
	}
	data, err := spec.Encode()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "spec"+pushspec.FileSuffix)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func digestOf(t *testing.T, label string) v1.Hash {
	t.Helper()
	made, err := image.Assemble(image.Spec{Platform: "linux/amd64", Labels: map[string]string{"is": label}})
	if err != nil {
		t.Fatal(err)
	}
	return image.Describe(types.OCIManifestSchema1, made.Manifest).Digest
}

// Nobody listens at the registries: what was tried would fail otherwise.
const nobody = "127.0.0.1:1"

func TestSpecsThatWantOneTagForTwoImagesArePushedNotAtAll(t *testing.T) {
	one := specFile(t, "//app:one", "1", nobody, "acme/app", "v1", "{VERSION}")
	for name, other := range map[string]string{
		"the same tag":            specFile(t, "//app:other", "2", nobody, "acme/app", "latest"),
		"a tag that becomes one":  specFile(t, "//app:other", "2", nobody, "acme/app", "{OTHER}"),
		"in a stamped repository": specFile(t, "//app:other", "2", nobody, "{TEAM}/app", "latest"),
	} {
		out, err := tool(t, "push", "--var=VERSION=latest", "--var=OTHER=latest", "--var=TEAM=acme", one, other)
		want := "drayage: nothing was pushed: //app:one and //app:other both write " + nobody + "/acme/app:latest, but their images differ: " +
			digestOf(t, "1").String() + " and " + digestOf(t, "2").String() + ". Give each its own tag or repository, or push only one of them\n"
		if err == nil || out != want {
			t.Errorf("%s: printed\n%swant\n%s", name, out, want)
		}
	}
}

func TestSpecsThatAreNoConflict(t *testing.T) {
	one := specFile(t, "//app:one", "1", nobody, "acme/app", "latest")
	for name, other := range map[string]string{
		"the same image":               specFile(t, "//app:other", "1", nobody, "acme/app", "latest"),
		"another tag":                  specFile(t, "//app:other", "2", nobody, "acme/app", "v1"),
		"another repository":           specFile(t, "//app:other", "2", nobody, "acme/other", "latest"),
		"another registry":             specFile(t, "//app:other", "2", "localhost:1", "acme/app", "latest"),
		"a variable that is not there": specFile(t, "//app:other", "2", nobody, "acme/app", "{NONE}"),
	} {
		var specs []*pushspec.Spec
		for _, path := range []string{one, other} {
			spec, err := readSpec(path)
			if err != nil {
				t.Fatal(err)
			}
			specs = append(specs, spec)
		}
		if err := conflicts(specs, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSpecsThatWantOneNameForTwoImagesAreLoadedNotAtAll(t *testing.T) {
	one, other := specFile(t, "//app:one", "1", "docker.io", "library/app", "dev"), specFile(t, "//app:other", "2", "index.docker.io", "library/app", "dev")
	out, err := tool(t, "load", "--to=containerd", "--address="+filepath.Join(t.TempDir(), "none"), one, other)
	if want := "nothing was loaded: //app:one and //app:other both use the name docker.io/library/app:dev, but their images differ"; err == nil || !strings.Contains(out, want) {
		t.Errorf("printed %s, want %s", out, want)
	}
}
