package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
)

// debianBase is a workspace with an image upon Debian's own file system, in which
// /bin and /var/run are links, and /tmp is open to all.
func debianBase(t *testing.T) *rig.Workspace {
	t.Helper()
	w := rig.NewWorkspace(t)
	for _, name := range []string{"base-files", "busybox-static"} {
		archive, err := os.ReadFile(filepath.Join(rig.Root(t), ".cache", "debian-base", name+".tar.xz"))
		check(t, err)
		w.Write(t, "base/"+name+".tar.xz", string(archive))
	}
	w.Write(t, "base/tool", "#!/bin/sh\necho ran\ncat /var/run/state\n")
	w.Write(t, "base/state", "state\n")
	w.Write(t, "base/BUILD.bazel", `
load("@drayage//rules:image.bzl", "image_manifest")
load("@drayage//rules:layer.bzl", "image_layer", "layer_from_tar")
load("@drayage//rules:load.bzl", "image_load")

[
    layer_from_tar(
        name = name,
        src = name + ".tar.xz",
        compress = "gzip",
    )
    for name in ["base-files", "busybox-static"]
]

# What a package's script does, and a user.
image_layer(
    name = "home",
    directories = {"/home/app": "0750"},
    owners = {"/home/app": "1000:1000"},
    symlinks = {"/var/run": "/run"},
)

image_manifest(
    name = "debian",
    layers = [":base-files", ":busybox-static", ":home"],
)

image_layer(
    name = "layer",
    srcs = {
        "/bin/tool": "tool",
        "/home/app/state": "state",
        "/tmp/state": "state",
        "/var/run/state": "state",
    },
    modes = {"/bin/tool": "0755"},
    remove = ["/etc/debian_version", "/usr/share/doc/"],
    symlinks = {"/bin/sh": "busybox", "/bin/cat": "busybox"},
)

image_manifest(
    name = "image",
    base = ":debian",
    entrypoint = ["/bin/tool"],
    layers = [":layer"],
)

image_load(
    name = "load",
    image = ":image",
    strategy = "eager",
    tag = "image:latest",
)
`)
	return w
}

// TestALayerLeavesTheBaseAsItIs has an image upon a real base unpacked by two
// programs that have nothing in common.
func TestALayerLeavesTheBaseAsItIs(t *testing.T) {
	t.Parallel()
	w := debianBase(t)
	w.Bazel(t, "build", "--output_groups=+blob", "//base:all")
	layout := layoutOf(t, w, "bazel-bin/base/image",
		"bazel-bin/base/base-files.tar.gz", "bazel-bin/base/busybox-static.tar.gz", "bazel-bin/base/home.tar.gz", "bazel-bin/base/layer.tar.gz")
	containerd := rig.StartContainerd(t)
	w.Bazel(t, "run", "//base:load", "--", "--address", containerd.Address, "--snapshotter", "native")

	for name, root := range map[string]string{"umoci": umociUnpacked(t, layout), "containerd": containerd.FileSystem(t)} {
		t.Run(name, func(t *testing.T) {
			for path, want := range map[string]string{"bin": "usr/bin", "var/run": "/run"} {
				if to, err := os.Readlink(filepath.Join(root, path)); err != nil || to != want {
					t.Errorf("/%s leads to %q (%v), want %q", path, to, err, want)
				}
			}
			for path, want := range map[string]os.FileMode{
				"home/app":       os.ModeDir | 0o750,
				"home/app/state": 0o644,
				"run/state":      0o644,
				"tmp":            os.ModeDir | os.ModeSticky | 0o777,
				"tmp/state":      0o644,
				"usr/bin/tool":   0o755,
			} {
				info, err := os.Stat(filepath.Join(root, path))
				check(t, err)
				if info.Mode() != want {
					t.Errorf("/%s has the mode %v, want %v", path, info.Mode(), want)
				}
			}
			if _, err := os.Lstat(filepath.Join(root, "etc/debian_version")); !os.IsNotExist(err) {
				t.Errorf("/etc/debian_version is still there (%v)", err)
			}
			if docs, err := os.ReadDir(filepath.Join(root, "usr/share/doc")); err != nil || len(docs) > 0 {
				t.Errorf("/usr/share/doc holds %v (%v)", docs, err)
			}
			// containerd is run by root, so that is who this is.
			output, err := exec.CommandContext(t.Context(), "chroot", root, "/bin/tool").CombinedOutput()
			if err != nil || string(output) != "ran\nstate\n" {
				t.Errorf("/bin/tool printed %q (%v)", output, err)
			}
		})
	}
}
