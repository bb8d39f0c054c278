package e2e_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/layer"
	"github.com/drayage/drayage/pushspec"
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

func TestWhatIsNoArchiveFailsTheBuild(t *testing.T) {
	t.Parallel()
	a := newArchives(t)
	wants := map[string]string{}
	add := func(name, script, want string) {
		a.add(t, name, script, "")
		a.add(t, name+"_anew", "cp "+name+".file $out", `compress = "zstd",`)
		wants[name], wants[name+"_anew"] = want, want
	}
	a.run(t, "good", "tar -cf $out -C in .")
	add("text", "echo hello >$out", "this is text, not a tar archive; to put a single file into an image, use image_layer")
	add("elf", "cp /bin/sh $out", "this is an ELF program or library, not a tar archive")
	add("empty", ": >$out", "this is an empty file, not a tar archive")
	add("page", "echo '<!DOCTYPE html><html>gone</html>' >$out", "this is an HTML page, not a tar archive; if it was downloaded, check the URL: the server sent a page")
	add("zip", "zip -q -r - in >$out", "this is a zip archive, not a tar archive; unpack it, and make a tar archive")
	add("lz4", "lz4 -q <good.file >$out", "this is lz4 data, not a tar archive; compress it with gzip, zstd, xz or bzip2 instead")
	add("lzma", "xz --format=lzma <good.file >$out", "this is lzma data, not a tar archive")
	for _, how := range []string{"gzip", "zstd", "xz", "bzip2"} {
		add(how+"_text", "echo hello | "+how+" -c >$out", "the "+how+" data contain text, not a tar archive")
		add(how+"_cut", how+" -c <good.file >whole; head -c 1000000 whole >$out", "the "+how+" data end too early, after ")
		add(how+"_cut_archive", "head -c 100000 good.file | "+how+" -c >$out", "the archive ends at byte 100000, in the middle of ")
		add(how+"_and_more", how+" -c <good.file >$out; echo garbage, as much as you like >>$out", "other data than "+how+" follow the "+how+" data")
		add(how+"_damaged", how+" -c <good.file >$out; printf 'damaged!!!' | dd of=$out bs=1 seek=200000 conv=notrunc status=none", "the "+how+" data are damaged, after ")
	}
	add("twice", "gzip -c good.file | xz >$out", "the xz data contain gzip data, not a tar archive; it was compressed twice")
	add("xz_dictionary", "xz --lzma2=dict=256MiB <good.file >$out", "unpacking the xz data needs a window of more than 128 MiB")
	add("xz_filter", "xz --x86 --lzma2 <good.file >$out", "the xz data have filters before their compression, as xz --x86 or --delta makes them")
	add("zstd_window", "zstd --long=30 -c <good.file >$out", "unpacking the zstd data needs a window of more than 128 MiB")
	add("cut_header", "tar -cf whole -C in etc bin; head -c 700 whole >$out", `the archive ends at byte 700, in the middle of the header after "etc/"`)
	add("cut_content", "head -c 2000000 good.file >$out", "the archive ends at byte 2000000, in the middle of ")
	add("damaged_header", "tar -cf $out -C in etc/config etc/empty; printf X | dd of=$out bs=1 seek=1030 conv=notrunc status=none", `the header after "etc/config", before byte 1536, is damaged`)
	add("two", "gzip -c good.file >$out; gzip -c good.file >>$out", "a second archive follows the first")
	add("disk", "head -c 1080 /dev/zero >$out; printf 'S\\357' >>$out; head -c 3000 /dev/zero >>$out", "it begins with zeros, and other data begin at byte 1024")
	add("leads_out", "tar -P -cf $out in/../../$(basename $PWD)/in/etc/config", "leads out of the image")
	add("itself", "tar -cf $out -C in etc/same etc/same", `"etc/same" is a hard link to itself`)
	add("incremental", "tar --listed-incremental=snapshot -cf $out -C in etc", "is a directory of an incremental archive")
	add("volume", "tar --multi-volume --tape-length=1000 -f first -f $out -f third -f fourth -f fifth -f sixth -c -C in bin", "is the rest of a file from another volume")
	a.add(t, "sparse", "tar --sparse -cf $out -C in var/sparse", "")
	wants["sparse"] = `"var/sparse" is a sparse file in GNU tar's own format, which container engines do not unpack; make the archive without --sparse, or set compress`
	a.add(t, "label", "tar --label=mine -cf $out -C in etc", "")
	wants["label"] = `"mine" is a volume label, which container engines do not unpack; make the archive without --label, or set compress`

	w := a.workspace(t)
	// In the middle of words, a line break or two is Bazel's.
	result := w.TryBazel(t, "build", "--keep_going", "--output_groups=+blob", "//archives/...")
	if result.ExitCode == 0 {
		t.Error("the build is green")
	}
	for _, name := range slices.Sorted(maps.Keys(wants)) {
		if want := "drayage: archives/" + name + ".file: "; !strings.Contains(result.Stderr, want) {
			t.Errorf("%s is taken", name)
		} else if _, after, _ := strings.Cut(result.Stderr, want); !strings.Contains(strings.SplitN(after, "\n", 2)[0], wants[name]) {
			t.Errorf("of %s it says\n%s\nwant\n%s", name, strings.SplitN(after, "\n", 2)[0], wants[name])
		}
		if failed := "Writing image layer //archives:" + name + " failed"; !strings.Contains(result.Stderr, failed) {
			t.Errorf("the build does not say: %s", failed)
		}
	}
}

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

// layerOf is a layer's blob, and the manifest of the image of it.
func layerOf(t *testing.T, w *rig.Workspace, name string) (string, v1.Manifest) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(w.Dir, "bazel-bin", "archives", name+".*"))
	check(t, err)
	found = slices.DeleteFunc(found, func(path string) bool { return strings.HasSuffix(path, ".json") })
	if len(found) != 1 {
		t.Fatalf("the blob of %s is one of %v", name, found)
	}
	blob, err := os.ReadFile(found[0])
	check(t, err)
	var manifest v1.Manifest
	check(t, json.Unmarshal([]byte(w.Read(t, "bazel-bin/archives/"+name+"_image.manifest.json")), &manifest))
	return string(blob), manifest
}

// heldIn is what a folder holds: paths, and what is there.
func heldIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	check(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := entry.Info()
		check(t, err)
		text := info.Mode().String()
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			check(t, err)
			text = "link to " + to
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			check(t, err)
			text += fmt.Sprintf(" %d bytes %x", len(content), sha256.Sum256(content))
		}
		relative, err := filepath.Rel(dir, path)
		check(t, err)
		switch relative { // what eStargz adds
		case ".no.prefetch.landmark", "stargz.index.json":
			return nil
		}
		found[relative] = text
		return nil
	}))
	return found
}

// gnuTarExtract has GNU tar unpack a blob. Everything is to be in it: GNU tar
// itself may not know a compression.
func gnuTarExtract(t *testing.T, blob, dir string) {
	t.Helper()
	switch {
	case strings.HasPrefix(blob, "\x1f\x8b"):
		r, err := gzip.NewReader(strings.NewReader(blob))
		check(t, err)
		plain, err := io.ReadAll(r)
		check(t, err)
		blob = string(plain)
	case strings.HasPrefix(blob, "\x28\xb5\x2f\xfd"):
		cmd := exec.CommandContext(t.Context(), rig.Tool(t, "zstd"), "-dcq")
		cmd.Stdin = strings.NewReader(blob)
		plain, err := cmd.Output()
		check(t, err)
		blob = string(plain)
	}
	cmd := exec.CommandContext(t.Context(), "tar", "--extract", "--file=-", "--directory="+dir, "--no-same-owner", "--preserve-permissions")
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	cmd.Stdin = strings.NewReader(blob)
	if output, err := cmd.CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("tar: %v\n%s", err, output)
	}
}

// umociUnpack has umoci unpack an image of one layer, and returns the folder.
func umociUnpack(t *testing.T, blob, manifest, config string) string {
	t.Helper()
	layout := t.TempDir()
	check(t, os.MkdirAll(filepath.Join(layout, "blobs", "sha256"), 0o755))
	for _, content := range []string{manifest, config, blob} {
		check(t, os.WriteFile(filepath.Join(layout, "blobs", "sha256", fmt.Sprintf("%x", sha256.Sum256([]byte(content)))), []byte(content), 0o644))
	}
	check(t, os.WriteFile(filepath.Join(layout, "oci-layout"), []byte(`{"imageLayoutVersion": "1.0.0"}`), 0o644))
	check(t, os.WriteFile(filepath.Join(layout, "index.json"), fmt.Appendf(nil, `{"schemaVersion": 2, "manifests": [{
	"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:%x", "size": %d,
	"annotations": {"org.opencontainers.image.ref.name": "latest"}
}]}`, sha256.Sum256([]byte(manifest)), len(manifest)), 0o644))
	bundle := filepath.Join(rig.TempDir(t), "bundle")
	output, err := exec.CommandContext(t.Context(), rig.Tool(t, "umoci"), "unpack", "--rootless", "--image="+layout+":latest", bundle).CombinedOutput()
	if err != nil {
		t.Fatalf("umoci: %v\n%s", err, output)
	}
	return filepath.Join(bundle, "rootfs")
}
