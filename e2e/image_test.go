package e2e_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/image-spec/schema"

	"github.com/drayage/drayage/e2e/rig"
)

func TestTheRegistryServesTheImageThatWasBuilt(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	rows := s.push(t, "//...")
	prod, staging := wantPushed(t, rows, "//:push_prod"), wantPushed(t, rows, "//:push_staging")

	for _, tag := range []string{"latest", "git-0123456789abcdef0123456789abcdef01234567"} {
		digest, err := rig.PullImage(t, prod.Registry+"/"+prod.Repository+":"+tag).Digest()
		if err != nil || digest.String() != prod.Digest {
			t.Errorf("tag %s leads to %s (%v), not to %s", tag, digest, err, prod.Digest)
		}
	}

	images := map[string]v1.Image{"prod": rig.PullImage(t, reference(prod)), "staging": rig.PullImage(t, reference(staging))}
	for name, image := range images {
		t.Run(name+" is valid by the image specification", func(t *testing.T) {
			wantWhole(t, image)
			manifest, err := image.RawManifest()
			check(t, err)
			if err := schema.ValidatorMediaTypeManifest.Validate(bytes.NewReader(manifest)); err != nil {
				t.Errorf("manifest: %v\n%s", err, manifest)
			}
			config, err := image.RawConfigFile()
			check(t, err)
			if err := schema.ValidatorMediaTypeImageConfig.Validate(bytes.NewReader(config)); err != nil {
				t.Errorf("config: %v\n%s", err, config)
			}
		})
	}

	t.Run("its files have the right modes and fixed times", func(t *testing.T) {
		want := []file{
			{Name: "app/bin/server", Mode: 0o755, Time: time.Unix(0, 0).UTC()},
			{Name: "app/config", Mode: 0o644, Time: time.Unix(0, 0).UTC(), Content: "greeting = hello from production\n"},
		}
		var got []file
		for _, f := range files(t, images["prod"]) {
			if !f.Time.Equal(time.Unix(0, 0)) {
				t.Errorf("%s is of %s", f.Name, f.Time)
			}
			// Bazel's own bookkeeping comes along with a program.
			if !strings.Contains(f.Name, ".runfiles/") {
				got = append(got, f)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	})

	t.Run("its config is what the target says", func(t *testing.T) {
		config, err := images["prod"].ConfigFile()
		check(t, err)
		got := []any{config.Config.Entrypoint, config.Config.Env, config.Config.User, config.Config.WorkingDir, config.Config.Labels}
		want := []any{
			[]string{"/app/bin/server"}, []string{"APP_ENV=prod"}, "65532:65532", "/app",
			map[string]string{"org.opencontainers.image.title": "server"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("config (-want +got):\n%s", diff)
		}
	})

	t.Run("a layer that both have is the same blob", func(t *testing.T) {
		if a, b := firstLayer(t, images["prod"]), firstLayer(t, images["staging"]); a != b {
			t.Errorf("the program's layer is %s and %s", a, b)
		}
	})
}

// The second build runs in another folder, on a cache that has nothing of the
// first one.
func TestTwoFoldersYieldTheSameDigests(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	first := s.push(t, "//...")
	s.cache = rig.StartBazelRemote(t)
	s.daemon = rig.StartDrayaged(t, rig.DaemonConfig{CAS: s.cache.GRPC})
	s.workspace = rig.NewWorkspace(t)
	second := s.push(t, "//...")
	for _, target := range []string{"//:push_prod", "//:push_staging"} {
		a, b := wantPushed(t, first, target), wantPushed(t, second, target)
		if a.Digest != b.Digest {
			t.Errorf("%s is %s in one folder and %s in another", target, a.Digest, b.Digest)
		}
		if b.Outcome != "present" || b.Uploaded.Blobs != 0 {
			t.Errorf("%s was %s with %d blobs the second time", target, b.Outcome, b.Uploaded.Blobs)
		}
	}
}

// wantWhole reads all of an image's bytes anew, and compares digests, sizes and
// diff ids.
func wantWhole(t *testing.T, image v1.Image) {
	t.Helper()
	manifest, err := image.Manifest()
	check(t, err)
	config, err := image.ConfigFile()
	check(t, err)
	layers, err := image.Layers()
	check(t, err)
	if len(layers) == 0 || len(layers) != len(config.RootFS.DiffIDs) || len(layers) != len(config.History) {
		t.Fatalf("%d layers, %d diff ids, %d entries of history", len(layers), len(config.RootFS.DiffIDs), len(config.History))
	}
	raw, err := image.RawConfigFile()
	check(t, err)
	wantDigest(t, "config", bytes.NewReader(raw), manifest.Config.Digest, manifest.Config.Size)
	for i, layer := range layers {
		blob, err := layer.Compressed()
		check(t, err)
		wantDigest(t, "layer", blob, manifest.Layers[i].Digest, manifest.Layers[i].Size)
		content, err := layer.Uncompressed()
		check(t, err)
		wantDigest(t, "diff id", content, config.RootFS.DiffIDs[i], -1)
	}
}

// wantDigest compares a content with its digest, and with its size if that is
// not negative.
func wantDigest(t *testing.T, what string, content io.Reader, digest v1.Hash, size int64) {
	t.Helper()
	got, length, err := v1.SHA256(content)
	check(t, err)
	if got != digest || size >= 0 && length != size {
		t.Errorf("%s is %s of %d bytes, not %s of %d", what, got, length, digest, size)
	}
}

// file is what a layer says of a file. Content is kept of small ones.
type file struct {
	Name     string
	Mode     int64
	UID, GID int
	Time     time.Time
	Content  string
}

// files are the files of all of an image's layers.
func files(t *testing.T, image v1.Image) []file {
	t.Helper()
	layers, err := image.Layers()
	check(t, err)
	var all []file
	for _, layer := range layers {
		stream, err := layer.Uncompressed()
		check(t, err)
		reader := tar.NewReader(stream)
		for {
			header, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			check(t, err)
			if header.Typeflag != tar.TypeReg {
				continue
			}
			f := file{Name: header.Name, Mode: header.Mode, UID: header.Uid, GID: header.Gid, Time: header.ModTime.UTC()}
			if header.Size < 1024 {
				content, err := io.ReadAll(reader)
				check(t, err)
				f.Content = string(content)
			}
			all = append(all, f)
		}
		check(t, stream.Close())
	}
	return all
}

func firstLayer(t *testing.T, image v1.Image) v1.Hash {
	t.Helper()
	manifest, err := image.Manifest()
	check(t, err)
	return manifest.Layers[0].Digest
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
