package e2e_test

import (
	"bytes"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/drayage/drayage/e2e/rig"
)

var update = flag.Bool("update", false, "write e2e/testdata/layers/listing.txt anew")

// TestALayerThatHasEverything has others read what we wrote: GNU tar, umoci, and
// the verifier of the stargz snapshotter.
func TestALayerThatHasEverything(t *testing.T) {
	t.Parallel()
	w := rig.CopyWorkspace(t, filepath.Join(rig.Root(t), "e2e", "testdata", "layers"))
	w.Bazel(t, "build", "--output_groups=+blob", "//...")
	blobs := map[string]string{"none": w.Read(t, "bazel-bin/none.tar"), "gzip": w.Read(t, "bazel-bin/gzip.tar.gz")}
	blobs["zstd"] = unzstd(t, w.Read(t, "bazel-bin/zstd.tar.zst"))
	images := map[string]string{"gzip": layoutOf(t, w, "bazel-bin/image", "bazel-bin/gzip.tar.gz")}

	w.Bazel(t, "build", "--@drayage//rules/settings:estargz=enabled", "--output_groups=+blob", "//...")
	blobs["estargz"] = w.Read(t, "bazel-bin/gzip.tar.gz")
	metadata := w.Read(t, "bazel-bin/gzip.layer.json")
	images["estargz"] = layoutOf(t, w, "bazel-bin/image", "bazel-bin/gzip.tar.gz")

	for name, blob := range blobs {
		t.Run("GNU tar lists "+name, func(t *testing.T) { wantListing(t, blob) })
		t.Run("GNU tar extracts "+name, func(t *testing.T) {
			dir := t.TempDir()
			gnuTar(t, blob, "--extract", "--directory="+dir, "--no-same-owner", "--preserve-permissions", "--xattrs-include=user.*")
			wantExtracted(t, dir)
		})
	}
	t.Run("a program out of it finds its runfiles", func(t *testing.T) {
		dir := t.TempDir()
		gnuTar(t, w.Read(t, "bazel-bin/runnable.tar"), "--extract", "--directory="+dir)
		wantRuns(t, dir, "app/runner", "hello\nfrom another repository\n")
	})
	for name, layout := range images {
		t.Run("umoci unpacks "+name, func(t *testing.T) {
			wantExtracted(t, umociUnpacked(t, layout))
		})
	}
	t.Run("the stargz snapshotter's verifier accepts estargz", func(t *testing.T) { wantVerified(t, blobs["estargz"], metadata) })
}

// gnuTar reads an archive, plain or compressed with gzip, and returns what tar
// prints.
func gnuTar(t *testing.T, archive string, args ...string) string {
	t.Helper()
	if strings.HasPrefix(archive, "\x1f\x8b") {
		args = append(args, "--gzip")
	}
	cmd := exec.CommandContext(t.Context(), "tar", append(args, "--xattrs", "--file=-")...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	cmd.Stdin = strings.NewReader(archive)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("tar: %v\n%s", err, stderr.String())
	}
	return string(output)
}

var (
	// tar widens its columns as it goes.
	columns = regexp.MustCompile(` +`)
	// What Bazel adds to runfiles is another text in each version, and eStargz has
	// entries of its own.
	notOurs = regexp.MustCompile(`(?m)^.*(/_repo_mapping| \.no\.prefetch\.landmark| stargz\.index\.json)\n`)
)

func wantListing(t *testing.T, archive string) {
	t.Helper()
	listed := gnuTar(t, archive, "--list", "-vv", "--xattrs-include=*", "--full-time", "--numeric-owner", "--quoting-style=literal")
	listed = notOurs.ReplaceAllString(columns.ReplaceAllString(listed, " "), "")
	file := filepath.Join("testdata", "layers", "listing.txt")
	if *update {
		check(t, os.WriteFile(file, []byte(listed), 0o644))
	}
	want, err := os.ReadFile(file)
	check(t, err)
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(listed, "\n")); diff != "" {
		t.Errorf("%s (-want +got); go test -update writes it anew:\n%s", file, diff)
	}
}

// wantExtracted looks at what a listing cannot show.
func wantExtracted(t *testing.T, dir string) {
	t.Helper()
	deep := strings.Repeat(strings.Repeat("deep", 25)+"/", 3) + "file"
	long := strings.Repeat(strings.Repeat("long-", 30)+"/", 3) + "255"
	for path, want := range map[string]struct {
		mode    os.FileMode
		content string
	}{
		"usr/bin/ping":     {os.ModeSetuid | 0o755, "hello\n"},
		"etc/app/greeting": {0o400, "hello\n"},
		deep:               {0o644, "hello\n"},
		"Ω/日本.txt":         {0o644, "hello\n"},
		"srv/tree/größe":   {0o644, "ümlaut\n"},
		"srv/tree/" + long: {0o644, "longer\n"},
		"app/bin/program.runfiles/_main/tree/" + long: {0o755, "longer\n"},
	} {
		content, err := os.ReadFile(filepath.Join(dir, path))
		check(t, err)
		info, err := os.Stat(filepath.Join(dir, path))
		check(t, err)
		if string(content) != want.content || info.Mode() != want.mode {
			t.Errorf("%s holds %q and has the mode %v, want %q and %v", path, content, info.Mode(), want.content, want.mode)
		}
	}

	for _, pair := range []struct {
		a, b string
		one  bool
	}{
		{"srv/tree/first", "srv/tree/second", true},
		{deep, "Ω/日本.txt", true},
		{"app/bin/program", "app/bin/program.runfiles/_main/program", true},
		// Alike, but for their modes, owners or attributes.
		{"srv/tree/first", "app/bin/program.runfiles/_main/tree/first", false},
		{deep, "usr/bin/ping", false},
		{deep, "etc/app/greeting", false},
	} {
		a, err := os.Stat(filepath.Join(dir, pair.a))
		check(t, err)
		b, err := os.Stat(filepath.Join(dir, pair.b))
		check(t, err)
		if os.SameFile(a, b) != pair.one {
			t.Errorf("%s and %s are one file: %v", pair.a, pair.b, !pair.one)
		}
	}

	for path, want := range map[string]time.Time{
		"etc/app/greeting": time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC),
		"usr/bin/ping":     time.Unix(1_700_000_000, 0),
		"tmp":              time.Unix(0, 0),
	} {
		info, err := os.Stat(filepath.Join(dir, path))
		check(t, err)
		if !info.ModTime().Equal(want) {
			t.Errorf("%s is of %v, want %v", path, info.ModTime(), want)
		}
	}
	if to, err := os.Readlink(filepath.Join(dir, "bin")); err != nil || to != "usr/bin" {
		t.Errorf("/bin leads to %s (%v)", to, err)
	}
	for path, attribute := range map[string][2]string{
		"etc/app/greeting": {"user.comment", "100% of größe = 1"},
		"usr/bin/ping":     {"user.binary", "\x00\xff\n"},
	} {
		value := make([]byte, 100)
		n, err := syscall.Getxattr(filepath.Join(dir, path), attribute[0], value)
		if err != nil || string(value[:n]) != attribute[1] {
			t.Errorf("%s of %s is %q (%v), want %q", attribute[0], path, value[:max(n, 0)], err, attribute[1])
		}
	}
}

func unzstd(t *testing.T, blob string) string {
	t.Helper()
	reader, err := zstd.NewReader(bytes.NewReader([]byte(blob)))
	check(t, err)
	defer reader.Close()
	plain, err := io.ReadAll(reader)
	check(t, err)
	return string(plain)
}
