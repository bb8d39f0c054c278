package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
)

// runScene is a workspace whose push is run, and what there is for it.
type runScene struct {
	workspace *rig.Workspace
	registry  *rig.Registry
	cache     *rig.BazelRemote
}

func newRunScene(t *testing.T) *runScene {
	t.Helper()
	s := &runScene{workspace: cacheWorkspace(t), registry: rig.StartRegistry(t), cache: rig.StartBazelRemote(t)}
	s.workspace.Write(t, ".bazelrc", "build --@drayage//rules/settings:registry="+s.registry.Host+"\n")
	return s
}

// again is another registry, which has nothing.
func (s *runScene) again(t *testing.T) {
	t.Helper()
	s.registry = rig.StartRegistry(t)
	s.workspace.Write(t, ".bazelrc", "build --@drayage//rules/settings:registry="+s.registry.Host+"\n")
}

// wantRun runs a push target, and wants one layer sent.
func (s *runScene) wantRun(t *testing.T, flags ...string) {
	t.Helper()
	result := s.workspace.Bazel(t, "run", flags...)
	if !strings.Contains(result.Stdout, "acme/app@") || !strings.Contains(result.Stdout, "2 blobs sent") {
		t.Errorf("bazel run %v printed\n%s%s", flags, result.Stdout, result.Stderr)
	}
	wantWhole(t, rig.PullImage(t, s.registry.Host+"/acme/app:latest"))
}

func TestBazelRunPushesWhatTheBuildHasLeft(t *testing.T) {
	t.Parallel()
	s := newRunScene(t)
	// No cache is known, and the strategy is the lazy one.
	s.wantRun(t, "//app:push")

	s.again(t)
	s.wantRun(t, "//app:push_all")

	// Without Bazel's links to its outputs.
	s.again(t)
	s.wantRun(t, "--symlink_prefix=/", "//app:push")

	// A person runs what bazel run runs, from wherever.
	s.again(t)
	s.workspace.Bazel(t, "build", "//app:push")
	cmd := exec.CommandContext(t.Context(), filepath.Join(s.workspace.Dir, "bazel-bin/app/push.sh"))
	cmd.Dir = t.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "2 blobs sent") {
		t.Errorf("the program failed: %v\n%s", err, out)
	}

	// Another platform's outputs lie in another folder.
	s.again(t)
	s.wantRun(t, "--compilation_mode=opt", "//app:push")
}

func TestBazelRunReadsTheCacheWhereTheBuildsFileIsAnother(t *testing.T) {
	t.Parallel()
	s := newRunScene(t)
	s.workspace.Bazel(t, "build", "--remote_cache="+s.cache.GRPC, "//app:push")
	layer, err := filepath.EvalSymlinks(filepath.Join(s.workspace.Dir, "bazel-bin/app/layer.tar.gz"))
	check(t, err)
	push := func(args ...string) (string, error) {
		s.again(t)
		cmd := exec.CommandContext(t.Context(), filepath.Join(s.workspace.Dir, "bazel-bin/app/push.sh"), args...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	info, err := os.Stat(layer)
	check(t, err)
	check(t, os.Remove(layer))
	check(t, os.WriteFile(layer, make([]byte, info.Size()), 0o644))
	if out, err := push("--cas=" + s.cache.GRPC); err != nil || !strings.Contains(out, "2 blobs sent") {
		t.Errorf("the program failed: %v\n%s", err, out)
	}
	check(t, os.Remove(layer))
	check(t, os.Mkdir(layer, 0o755))
	if out, err := push("--cas=" + s.cache.GRPC); err != nil || !strings.Contains(out, "acme/app@") {
		t.Errorf("the program failed: %v\n%s", err, out)
	}
}

func TestBazelRunReadsTheDiskCache(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		function string
		startup  []string
		settings []string
	}{
		{"sha256", nil, nil},
		{"blake3", []string{"--digest_function=blake3"}, []string{"--@drayage//rules/settings:digest_function=blake3"}},
	} {
		t.Run(row.function, func(t *testing.T) {
			s := newRunScene(t)
			s.workspace.Startup = row.startup
			disk := filepath.Join(t.TempDir(), "disk")
			flags := append(slices.Clone(row.settings), "--disk_cache="+disk, "--remote_download_minimal")
			s.workspace.Bazel(t, "build", append(flags, "//app:layer")...)
			s.workspace.Bazel(t, "clean")
			run := func(args ...string) rig.BazelResult {
				return s.workspace.TryBazel(t, "run", append(append(slices.Clone(flags), "//app:push", "--"), args...)...)
			}

			failed := run()
			if failed.ExitCode == 0 || !strings.Contains(failed.Stderr, "--disk-cache or DRAYAGE_DISK_CACHE") {
				t.Fatalf("without the folder: exit code %d\n%s", failed.ExitCode, failed.Stderr)
			}
			if _, err := os.Stat(filepath.Join(s.workspace.Dir, "bazel-bin/app/layer.tar.gz")); err == nil {
				t.Error("bazel run brought the layer")
			}
			if given := run("--disk-cache", disk); given.ExitCode != 0 {
				t.Errorf("with --disk-cache: exit code %d\n%s%s", given.ExitCode, given.Stdout, given.Stderr)
			}
			wantWhole(t, rig.PullImage(t, s.registry.Host+"/acme/app:latest"))
			s.again(t)
			s.workspace.Env = append(s.workspace.Env, "DRAYAGE_DISK_CACHE="+disk)
			if set := run(); set.ExitCode != 0 {
				t.Errorf("with DRAYAGE_DISK_CACHE: exit code %d\n%s%s", set.ExitCode, set.Stdout, set.Stderr)
			}
			wantWhole(t, rig.PullImage(t, s.registry.Host+"/acme/app:latest"))
		})
	}
}

// What drayage push says of a layer that is nowhere, a build with its flags heals.
func TestBazelRunSaysWhatHealsALayerThatIsNowhere(t *testing.T) {
	t.Parallel()
	s := newRunScene(t)
	flags := []string{"--remote_cache=" + s.cache.GRPC, "--@drayage//rules/settings:remote_cache=" + s.cache.GRPC, "--remote_download_minimal"}
	run := func(more ...string) rig.BazelResult {
		return s.workspace.TryBazel(t, "run", append(append(slices.Clone(flags), more...), "//app:push")...)
	}
	s.workspace.Bazel(t, "build", append(slices.Clone(flags), "//app:push")...)
	hash := (&lossScene{scene: &scene{workspace: s.workspace}}).layerHash(t)
	s.workspace.Bazel(t, "clean")
	s.workspace.Bazel(t, "build", append(slices.Clone(flags), "//app:push")...)
	s.cache.Evict(t, hash)

	failed := run()
	for _, words := range []string{"push @@//app:push", "of //app:layer is not in the remote cache. It is not on this machine either.", "--disk-cache", "--instance"} {
		if failed.ExitCode == 0 || !strings.Contains(failed.Stderr, words) {
			t.Fatalf("the message does not say %q:\n%s", words, failed.Stderr)
		}
	}
	heals := advised(failed.Stderr)
	s.workspace.Bazel(t, "build", append(append(slices.Clone(flags), heals...), "//app:push")...)
	if healed := run(); healed.ExitCode != 0 {
		t.Errorf("after a build with %v: exit code %d\n%s%s", heals, healed.ExitCode, healed.Stdout, healed.Stderr)
	}
	wantWhole(t, rig.PullImage(t, s.registry.Host+"/acme/app:latest"))
}

func TestBazelRunLoadsWhatTheBuildHasLeft(t *testing.T) {
	t.Parallel()
	containerd := rig.StartContainerd(t)
	w := cacheWorkspace(t)
	w.Write(t, ".bazelrc", "")
	loaded := w.Bazel(t, "run", "//app:load", "--", "--address="+containerd.Address)
	if !strings.Contains(loaded.Stderr, ": 3 blobs moved") {
		t.Errorf("the load said\n%s", loaded.Stderr)
	}
	checkStored(t, containerd, containerd.Image(t, "docker.io/library/app:dev"))
}
