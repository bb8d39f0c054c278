package pull_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/pull"
)

// entry is an image of an index: what the index says of its platform, and what its
// config does.
type entry struct {
	listed *v1.Platform
	config v1.Platform
}

func pushEntries(t *testing.T, s *server, entries ...entry) string {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for _, e := range entries {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: imageFor(t, e.config), Descriptor: v1.Descriptor{Platform: e.listed}})
	}
	// Something about an image, and no image: its config has no platform and no diff ids.
	artifact := mutate.ConfigMediaType(mutate.MediaType(imageFor(t, v1.Platform{}), types.OCIManifestSchema1), "application/vnd.example+json")
	empty, err := mutate.ConfigFile(imageFor(t, amd64), &v1.ConfigFile{})
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []v1.Image{artifact, empty} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: other})
	}
	if err := remote.WriteIndex(s.reference(t), index); err != nil {
		t.Fatal(err)
	}
	s.asked()
	return digestOf(t, index)
}

func TestWhatAnIndexDoesNotSayOfAPlatformIsInTheConfig(t *testing.T) {
	s := start(t)
	armv6, armv7, arm := v1.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}, v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}, v1.Platform{OS: "linux", Architecture: "arm"}
	windows := v1.Platform{OS: "windows", Architecture: "amd64"}
	windows2019 := v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763.4377"}
	digest := pushEntries(t, s,
		entry{nil, amd64}, entry{&v1.Platform{Architecture: "arm64"}, arm64}, entry{&armv6, arm}, entry{&arm, armv7}, entry{&windows2019, windows})
	for _, row := range []struct {
		platforms, want []string
	}{
		{nil, []string{"linux_amd64 linux/amd64", "linux_arm64_v8 linux/arm64/v8", "linux_arm_v6 linux/arm/v6", "linux_arm linux/arm/v7", "windows_amd64 windows/amd64:10.0.17763.4377"}},
		{[]string{"linux/amd64"}, []string{"linux_amd64 linux/amd64"}},
		{[]string{"linux/arm64"}, []string{"linux_arm64_v8 linux/arm64/v8"}},
		{[]string{"linux/arm/v7"}, []string{"linux_arm linux/arm/v7"}},
		{[]string{"linux/arm/v6"}, []string{"linux_arm_v6 linux/arm/v6"}},
	} {
		images, err := pull.Pull(t.Context(), s.request(digest, row.platforms...))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, i := range images {
			got = append(got, i.Name()+" "+i.Platform.String())
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("platforms %v (-want +got):\n%s", row.platforms, diff)
		}
	}
	_, err := pull.Pull(t.Context(), s.request(digest, "linux/s390x"))
	if want := "has no image for linux/s390x; it has images for linux/amd64, linux/arm64/v8, linux/arm/v6, linux/arm/v7, windows/amd64"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, want it to contain %s", err, want)
	}
}

func TestWhatOnlyTheIndexSaysOfAPlatformIsWritten(t *testing.T) {
	s := start(t)
	armv6, arm := v1.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}, v1.Platform{OS: "linux", Architecture: "arm"}
	images, err := pull.Pull(t.Context(), s.request(pushEntries(t, s, entry{&armv6, arm}, entry{nil, amd64}, entry{&arm64, arm64})))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	written, err := pull.Write(dir, images, false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"linux_arm_v6/platform.json", "", ""}, []string{written[0].Platform, written[1].Platform, written[2].Platform}); diff != "" {
		t.Fatalf("platforms (-want +got):\n%s", diff)
	}
	listed, err := os.ReadFile(filepath.Join(dir, written[0].Platform))
	if want := `{"architecture":"arm","os":"linux","variant":"v6"}`; err != nil || string(listed) != want {
		t.Errorf("the index says %s, error %v; want %s", listed, err, want)
	}
}

func TestAPlatformIsWantedUnderEitherOfItsNames(t *testing.T) {
	s := start(t)
	bare := v1.Platform{OS: "linux", Architecture: "arm64"}
	for _, row := range []struct {
		has    v1.Platform
		wanted string
	}{{arm64, "linux/arm64"}, {bare, "linux/arm64/v8"}, {bare, "linux/aarch64"}} {
		images, err := pull.Pull(t.Context(), s.request(pushEntries(t, s, entry{&row.has, row.has}, entry{&amd64, amd64}), row.wanted))
		if err != nil || len(images) != 1 || images[0].Platform.Architecture != "arm64" {
			t.Errorf("of %s, %s is wanted: %d images, error %v", row.has, row.wanted, len(images), err)
		}
	}
}

func TestAnImageThatDoesNotSayWhatItIsForHasANameAllTheSame(t *testing.T) {
	for want, platform := range map[string]v1.Platform{"_": {}, "_arm64": {Architecture: "arm64"}, "linux_": {OS: "linux"}} {
		s := start(t)
		image := imageFor(t, platform)
		if err := remote.Write(s.reference(t), image); err != nil {
			t.Fatal(err)
		}
		images, err := pull.Pull(t.Context(), s.request(digestOf(t, image)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{want}, names(images)); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
	}
}
