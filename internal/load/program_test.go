package load_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/drayage/drayage/internal/load"
)

// program is a script in the place of docker.
func program(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "docker")
	check(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755))
	return path
}

func TestAProgramGetsTheArchiveOnItsInput(t *testing.T) {
	s := imageScene(t, v1.Platform{OS: "linux", Architecture: "amd64"})
	i, err := load.Select(s.spec, "")
	check(t, err)
	got := filepath.Join(t.TempDir(), "archive.tar")
	var output bytes.Buffer
	p := load.Program{Path: program(t, `[ "$*" = load ] && cat >`+got+` && echo "Loaded image: app:dev"`), Output: &output}
	result, err := p.Load(t.Context(), i, []string{"docker.io/library/app:dev"}, load.Sources{CAS: s.cas})
	check(t, err)
	if result.Root != s.spec.Root || result.Moved.Blobs != 3 || output.String() != "Loaded image: app:dev\n" {
		t.Errorf("%+v, printed %q", result, output.String())
	}
	tag, err := name.NewTag("app:dev")
	check(t, err)
	image, err := tarball.Image(func() (io.ReadCloser, error) { return os.Open(got) }, &tag)
	check(t, err)
	check(t, validate.Image(image))
}

func TestAProgramThatFailsIsQuoted(t *testing.T) {
	s := imageScene(t, v1.Platform{OS: "linux", Architecture: "amd64"})
	i, err := load.Select(s.spec, "")
	check(t, err)
	for script, want := range map[string]string{
		"cat >/dev/null; echo no space left on device >&2; exit 1": "no space left on device",
		"echo the daemon is not there >&2; exit 1":                 "the daemon is not there",
	} {
		p := load.Program{Path: program(t, script), Output: io.Discard}
		if _, err := p.Load(t.Context(), i, []string{"docker.io/library/app:dev"}, load.Sources{CAS: s.cas}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", script, err)
		}
	}
}

func TestAnOldDockerThatFailsOverZstdIsExplained(t *testing.T) {
	s := imageScene(t, v1.Platform{OS: "linux", Architecture: "amd64"})
	i, err := load.Select(s.spec, "")
	check(t, err)
	i.Blobs[1].MediaType = types.OCILayerZStd
	p := load.Program{Path: program(t, "cat >/dev/null; echo archive/tar: invalid tar header >&2; exit 1"), Output: io.Discard}
	_, err = p.Load(t.Context(), i, []string{"docker.io/library/app:dev"}, load.Sources{CAS: s.cas})
	if err == nil || !strings.Contains(err.Error(), "invalid tar header; this image has layers that are compressed with zstd, which docker can read since version 23.0") {
		t.Errorf("error %v", err)
	}
}

func TestADockerThatFailsOverPlatformsIsExplained(t *testing.T) {
	s := indexScene(t, v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{OS: "linux", Architecture: "arm64"})
	i, err := load.Select(s.spec, "all")
	check(t, err)
	p := load.Program{Path: program(t, "cat >/dev/null; echo open blobs/json: no such file or directory >&2; exit 1"), Output: io.Discard}
	_, err = p.Load(t.Context(), i, []string{"docker.io/library/app:dev"}, load.Sources{CAS: s.cas})
	if err == nil || !strings.Contains(err.Error(), "no such file or directory; docker loads an image for several platforms only if it keeps images in containerd") {
		t.Errorf("error %v", err)
	}
}

func TestAProgramIsStoppedWhenTheBytesAreWrong(t *testing.T) {
	s := imageScene(t, v1.Platform{OS: "linux", Architecture: "amd64"})
	i, err := load.Select(s.spec, "")
	check(t, err)
	s.cas[i.Blobs[2].Digest.String()][1000] ^= 1
	took := filepath.Join(t.TempDir(), "took")
	// It would take whatever it is given for an image, once that ends.
	p := load.Program{Path: program(t, "while read -r line; do :; done; : >"+took), Output: io.Discard}
	if _, err := p.Load(t.Context(), i, []string{"docker.io/library/app:dev"}, load.Sources{CAS: s.cas}); err == nil || !strings.Contains(err.Error(), "its source delivered other content") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(took); err == nil {
		t.Error("the program took the archive for an image")
	}
}
