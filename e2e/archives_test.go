package e2e_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/e2e/rig"
)

// archives are files that real programs made, to be packages of a workspace: a
// file, the layer_from_tar of it, and an image of that.
type archives struct {
	// dir is where they are made, with the folder "in" of what they hold.
	dir   string
	path  string
	build strings.Builder
}

func newArchives(t *testing.T) *archives {
	t.Helper()
	a := &archives{dir: t.TempDir()}
	// What scripts call by its name is what the tests are pinned to.
	bin := t.TempDir()
	for _, name := range []string{"bzip2", "lz4", "python3", "xz", "zip", "zstd"} {
		check(t, os.Symlink(rig.Tool(t, name), filepath.Join(bin, name)))
	}
	a.path = bin + string(filepath.ListSeparator) + os.Getenv("PATH")

	noise := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	put := func(name string, content []byte, mode os.FileMode) {
		path := filepath.Join(a.dir, "in", name)
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, content, 0o644))
		check(t, os.Chmod(path, mode))
	}
	put("bin/program", noise, 0o755)
	put("bin/ping", []byte("ping"), os.ModeSetuid|0o755)
	put("etc/config", []byte("a = b\n"), 0o640)
	put("etc/empty", nil, 0o644)
	put("etc/größe", []byte("ümlaut"), 0o644)
	put("srv/"+strings.Repeat("long-", 18)+"/"+strings.Repeat("name-", 18), []byte("long"), 0o644)
	check(t, os.Symlink("config", filepath.Join(a.dir, "in", "etc", "link")))
	check(t, os.Link(filepath.Join(a.dir, "in", "etc", "config"), filepath.Join(a.dir, "in", "etc", "same")))
	check(t, os.MkdirAll(filepath.Join(a.dir, "in", "var", "nothing"), 0o755))
	put("var/sparse", []byte("start"), 0o644)
	sparse, err := os.OpenFile(filepath.Join(a.dir, "in", "var", "sparse"), os.O_WRONLY, 0)
	check(t, err)
	_, err = sparse.WriteAt([]byte("end"), 1<<20)
	check(t, err)
	check(t, sparse.Close())
	return a
}

// add makes an archive: a script writes it to $out.
func (a *archives) add(t *testing.T, name, script, attributes string) {
	t.Helper()
	a.run(t, name, script)
	fmt.Fprintf(&a.build, `
layer_from_tar(
    name = %[1]q,
    src = "%[1]s.file",
    %[2]s
)

image_manifest(
    name = "%[1]s_image",
    layers = [%[1]q],
)
`, name, attributes)
}

// run has a script write a file to $out. Scripts see the folder "in" and what other
// scripts have written, with ".file" after their names.
func (a *archives) run(t *testing.T, name, script string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "PATH="+a.path, "out="+name+".file", "LC_ALL=C.UTF-8")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v\n%s", name, err, output)
	}
}

// workspace has the files in a package.
func (a *archives) workspace(t *testing.T) *rig.Workspace {
	t.Helper()
	w := rig.NewWorkspace(t)
	files, err := filepath.Glob(filepath.Join(a.dir, "*.file"))
	check(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		check(t, err)
		w.Write(t, "archives/"+filepath.Base(file), string(content))
	}
	w.Write(t, "archives/BUILD.bazel", `
load("@drayage//rules:image.bzl", "image_manifest")
load("@drayage//rules:layer.bzl", "layer_from_tar")
`+a.build.String())
	return w
}

// Every archive that a program wrote comes out of its layer as it went in,
// unpacked by GNU tar and by umoci.
func TestArchivesOfRealProgramsBecomeLayers(t *testing.T) {
	t.Parallel()
	a := newArchives(t)
	const (
		anew = `compress = "gzip",`
		zstd = `compress = "zstd",`
	)
	python := func(mode, arguments string) string {
		return `python3 - <<END
import tarfile
with tarfile.open("$out", "` + mode + `"` + arguments + `) as archive:
    archive.add("in", ".")
END`
	}
	type row struct {
		name, script, attributes string
		// mediaType is the end of the layer's.
		mediaType string
		// says is a warning that the build shows.
		says string
		// notUmoci: umoci does not unpack such a layer, and others do.
		notUmoci bool
	}
	rows := []row{
		{name: "gnu", script: "tar --format=gnu -cf $out -C in .", mediaType: "tar"},
		{name: "posix", script: "tar --format=posix -cf $out -C in .", mediaType: "tar"},
		{name: "ustar", script: "tar --format=ustar -cf $out -C in bin etc srv var", mediaType: "tar"},
		{name: "v7", script: "tar --format=v7 -cf $out -C in bin etc var", mediaType: "tar"},
		{name: "oldgnu", script: "tar --format=oldgnu -czf $out -C in .", mediaType: "tar+gzip"},
		{name: "gzipped_anew", script: "tar -czf $out -C in .", attributes: zstd, mediaType: "tar+zstd", notUmoci: true},
		{name: "gzip_members", script: "head -c 100000 gnu.file | gzip >$out; tail -c +100001 gnu.file | gzip -9 >>$out", mediaType: "tar+gzip"},
		{name: "zstd", script: "tar -c -C in . | zstd -19 >$out", mediaType: "tar+zstd", notUmoci: true},
		{name: "zstd_frames", script: "head -c 100000 gnu.file | zstd >$out; tail -c +100001 gnu.file | zstd --long >>$out", attributes: anew, mediaType: "tar+gzip"},
		{name: "xz", script: "tar -cJf $out -C in .", mediaType: "tar+gzip"},
		{name: "xz_blocks", script: "xz -T2 --block-size=100000 --check=sha256 <posix.file >$out", attributes: zstd, mediaType: "tar+zstd", notUmoci: true},
		{name: "xz_streams", script: "head -c 100000 gnu.file | xz -9e >$out; printf '\\0\\0\\0\\0' >>$out; tail -c +100001 gnu.file | xz --check=crc32 >>$out", attributes: `compress = "none",`, mediaType: "tar"},
		{name: "bzip2", script: "tar -cjf $out -C in .", mediaType: "tar+gzip"},
		{name: "bzip2_streams", script: "head -c 100000 gnu.file | bzip2 >$out; tail -c +100001 gnu.file | bzip2 -1 >>$out", attributes: `estargz = "enabled",`, mediaType: "tar+gzip"},
		{name: "sparse_anew", script: "tar --sparse --format=gnu -cf $out -C in .", attributes: anew, mediaType: "tar+gzip"},
		{name: "sparse_posix", script: "tar --sparse --format=posix -cf $out -C in .", mediaType: "tar"},
		{name: "sparse_posix_anew", script: "tar --sparse --format=posix -cf $out -C in .", attributes: `compress = "gzip", estargz = "enabled",`, mediaType: "tar+gzip"},
		{name: "sparse_posix_old", script: "tar --sparse --sparse-version=0.1 --format=posix -cf $out -C in .", attributes: anew, mediaType: "tar+gzip"},
		{name: "sparse_posix_oldest", script: "tar --sparse --sparse-version=0.0 --format=posix -cf $out -C in .", mediaType: "tar"},
		{name: "label", script: "tar --label=mine -czf $out -C in .", attributes: anew, mediaType: "tar+gzip"},
		{name: "python_pax", script: python("w", ", format=tarfile.PAX_FORMAT"), mediaType: "tar"},
		{name: "python_gnu", script: python("w:gz", ", format=tarfile.GNU_FORMAT"), mediaType: "tar+gzip"},
		{name: "python_xz", script: python("w:xz", ""), mediaType: "tar+gzip"},
		{name: "python_bzip2", script: python("w:bz2", ", format=tarfile.USTAR_FORMAT"), mediaType: "tar+gzip"},
		// As `git archive` writes it. umoci knows no global headers.
		{name: "python_global", script: python("w", `, pax_headers={"comment": "0123"}`), mediaType: "tar", notUmoci: true},
		{name: "no_end", script: "tar --record-size=512 -c -C in . | head -c -1024 >$out",
			mediaType: "tar", says: "no_end.file: the blocks of zeros that end an archive are missing"},
	}
	for _, r := range rows {
		a.add(t, r.name, r.script, r.attributes)
	}
	w := a.workspace(t)
	result := w.Bazel(t, "build", "--output_groups=+blob", "//archives/...")
	for _, r := range rows {
		if r.says != "" && !strings.Contains(result.Stderr, "drayage: warning: archives/"+r.says) {
			t.Errorf("of %s the build does not say %q:\n%s", r.name, r.says, result.Stderr)
		}
	}
	if n := strings.Count(result.Stderr, "drayage: warning:"); n != 1 {
		t.Errorf("the build warns %d times:\n%s", n, result.Stderr)
	}

	in := heldIn(t, filepath.Join(a.dir, "in"))
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			blob, manifest := layerOf(t, w, r.name)
			if got := string(manifest.Layers[0].MediaType); got != "application/vnd.oci.image.layer.v1."+r.mediaType {
				t.Errorf("the layer is a %s, want a %s", got, r.mediaType)
			}
			want := maps.Clone(in)
			if r.name == "v7" { // which has no room for long paths
				maps.DeleteFunc(want, func(path, _ string) bool { return strings.HasPrefix(path, "srv") })
			}
			dir := t.TempDir()
			gnuTarExtract(t, blob, dir)
			if diff := cmp.Diff(want, heldIn(t, dir)); diff != "" {
				t.Errorf("GNU tar unpacked (-want +got):\n%s", diff)
			}
			if r.notUmoci {
				return
			}
			dir = umociUnpack(t, blob, w.Read(t, "bazel-bin/archives/"+r.name+"_image.manifest.json"), w.Read(t, "bazel-bin/archives/"+r.name+"_image.config.json"))
			if diff := cmp.Diff(want, heldIn(t, dir)); diff != "" {
				t.Errorf("umoci unpacked (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("what can be kept is kept to the byte", func(t *testing.T) {
		for _, r := range rows {
			blob, _ := layerOf(t, w, r.name)
			packed := slices.ContainsFunc([]string{"xz", "bzip2"}, func(how string) bool { return strings.Contains(r.name, how) })
			if kept := blob == w.Read(t, "archives/"+r.name+".file"); kept != (r.attributes == "" && !packed) {
				t.Errorf("%s: kept is %v", r.name, kept)
			}
		}
	})
	t.Run("without a sandbox the layers are the same", func(t *testing.T) {
		sandboxed := map[string]string{}
		for _, r := range rows {
			sandboxed[r.name] = w.Read(t, "bazel-bin/archives/"+r.name+".layer.json")
		}
		w.Bazel(t, "clean")
		w.Bazel(t, "build", "--spawn_strategy=local", "//archives/...")
		for _, r := range rows {
			if diff := cmp.Diff(sandboxed[r.name], w.Read(t, "bazel-bin/archives/"+r.name+".layer.json")); diff != "" {
				t.Errorf("%s (-sandboxed +local):\n%s", r.name, diff)
			}
		}
	})
	t.Run("what cannot be kept is compressed as the settings say", func(t *testing.T) {
		w.Bazel(t, "build", "--output_groups=+blob", "--@drayage//rules/settings:compress=zstd", "//archives/...")
		for name, want := range map[string]string{"xz": "tar+zstd", "bzip2": "tar+zstd", "oldgnu": "tar+gzip", "gnu": "tar"} {
			_, manifest := layerOf(t, w, name)
			if got := string(manifest.Layers[0].MediaType); !strings.HasSuffix(got, "v1."+want) {
				t.Errorf("%s is a %s, want a %s", name, got, want)
			}
		}
	})
}
