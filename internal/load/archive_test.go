package load_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/load"
	"github.com/drayage/drayage/pushspec"
)

func archiveOf(t *testing.T, s *scene, platform string, names ...string) ([]byte, v1.Hash) {
	t.Helper()
	i, err := load.Select(s.spec, platform)
	check(t, err)
	var archive bytes.Buffer
	root, err := load.WriteArchive(t.Context(), &archive, i, names, load.Sources{CAS: s.cas})
	check(t, err)
	return archive.Bytes(), root
}

// unpack writes an archive to a folder.
func unpack(t *testing.T, archive []byte) string {
	t.Helper()
	dir := t.TempDir()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		check(t, err)
		data, err := io.ReadAll(r)
		check(t, err)
		path := filepath.Join(dir, filepath.FromSlash(header.Name))
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, data, 0o644))
	}
}

func TestAnArchiveIsOneOfDockersAndAnImageLayout(t *testing.T) {
	s := indexScene(t, v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{OS: "linux", Architecture: "arm64"})
	archive, root := archiveOf(t, s, "linux/arm64", "docker.io/library/app:dev", "ghcr.io/acme/app:dev")

	for _, text := range []string{"app:dev", "ghcr.io/acme/app:dev"} {
		tag, err := name.NewTag(text)
		check(t, err)
		i, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }, &tag)
		check(t, err)
		check(t, validate.Image(i))
		config, err := i.ConfigFile()
		check(t, err)
		if config.Architecture != "arm64" {
			t.Errorf("%s is for %s", text, config.Architecture)
		}
	}

	index, err := layout.ImageIndexFromPath(unpack(t, archive))
	check(t, err)
	manifest, err := index.IndexManifest()
	check(t, err)
	if len(manifest.Manifests) != 2 || manifest.Manifests[1].Annotations["io.containerd.image.name"] != "ghcr.io/acme/app:dev" ||
		manifest.Manifests[1].Annotations["org.opencontainers.image.ref.name"] != "dev" || manifest.Manifests[0].Digest != root {
		t.Errorf("the layout lists %+v", manifest.Manifests)
	}
	i, err := index.Image(root)
	check(t, err)
	check(t, validate.Image(i))
}

func TestAnArchiveOfAllPlatformsHoldsTheIndex(t *testing.T) {
	s := indexScene(t, v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{OS: "linux", Architecture: "arm64"})
	archive, root := archiveOf(t, s, "all", "docker.io/library/app:dev")
	if root != s.spec.Root {
		t.Errorf("the root is %s, want %s", root, s.spec.Root)
	}
	outer, err := layout.ImageIndexFromPath(unpack(t, archive))
	check(t, err)
	inner, err := outer.ImageIndex(root)
	check(t, err)
	check(t, validate.Index(inner))
}

func TestAnArchiveWithWrongBytesIsNoImage(t *testing.T) {
	for _, damage := range []string{"bytes", "length", "missing"} {
		s := imageScene(t, v1.Platform{OS: "linux", Architecture: "amd64"})
		i, err := load.Select(s.spec, "")
		check(t, err)
		last := i.Blobs[len(i.Blobs)-1].Digest.String()
		want := "its source delivered other content"
		switch damage {
		case "bytes":
			s.cas[last][1000] ^= 1
		case "length":
			s.cas[last] = s.cas[last][:1000]
		case "missing":
			delete(s.cas, last)
			want = last + " (100 KiB) is not in the remote cache"
		}
		var archive bytes.Buffer
		_, err = load.WriteArchive(t.Context(), &archive, i, []string{"docker.io/library/app:dev"}, load.Sources{CAS: s.cas})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), last) {
			t.Errorf("%s: %v", damage, err)
		}
		for _, end := range []string{"index.json", "manifest.json"} {
			if bytes.Contains(archive.Bytes(), []byte(end)) {
				t.Errorf("%s: the archive has an %s", damage, end)
			}
		}
	}
}

func TestALayerThatIsNotToBeDistributedIsAskedForByName(t *testing.T) {
	s := imageScene(t, v1.Platform{OS: "windows", Architecture: "amd64"})
	i, err := load.Select(s.spec, "")
	check(t, err)
	last := &i.Blobs[len(i.Blobs)-1]
	last.MediaType, last.URLs, last.Sources = types.OCIRestrictedLayer, []string{"https://layers.example/1"}, nil
	write := func() error {
		_, err := load.WriteArchive(t.Context(), io.Discard, i, []string{"docker.io/library/app:dev"}, load.Sources{CAS: s.cas})
		return err
	}
	want := last.Digest.String() + ` (100 KiB) is nondistributable, so it was not pulled: its publisher offers it at "https://layers.example/1"; fetch it, and give the file with --blob`
	if err := write(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, want it to contain %s", err, want)
	}
	last.Sources = []pushspec.Source{{CAS: last.Digest.String()}} // as --blob has it
	if err := write(); err != nil {
		t.Errorf("with the file: %v", err)
	}
}

// zeros is a remote cache that has any number of them.
type zeros struct{}

func (zeros) Stream(_ context.Context, blob cas.Blob, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(io.LimitReader(zeros{}, blob.Size-offset)), nil
}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestAnArchiveIsWrittenWithoutKeepingItsLayers(t *testing.T) {
	const size = 256 << 20
	sum := sha256.New()
	_, err := io.CopyN(sum, zeros{}, size)
	check(t, err)
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}
	layer := v1.Descriptor{MediaType: types.OCIUncompressedLayer, Digest: digest, Size: size}
	i := &load.Image{
		Blobs:     []pushspec.Blob{{Descriptor: layer, Sources: []pushspec.Source{{CAS: digest.String()}}}},
		Platforms: []load.Runnable{{Manifest: v1.Descriptor{Digest: digest}, Config: layer, Layers: []v1.Descriptor{layer}}},
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = load.WriteArchive(t.Context(), io.Discard, i, []string{"docker.io/library/app:dev"}, load.Sources{CAS: zeros{}})
	check(t, err)
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 8<<20 {
		t.Errorf("%d MiB were allocated on the way of %d MiB", allocated>>20, size>>20)
	}
}
