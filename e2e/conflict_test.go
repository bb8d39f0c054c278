package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

// twoForOneTag are two targets that push two images under one tag, and a third that
// pushes the image of the first. The image of held is built when somebody writes to
// a pipe.
func twoForOneTag(t *testing.T, w *rig.Workspace, held string) (letGo func()) {
	t.Helper()
	pipe := filepath.Join(t.TempDir(), "pipe")
	check(t, syscall.Mkfifo(pipe, 0o600))
	w.Write(t, "tags/BUILD.bazel", fmt.Sprintf(`
load("@drayage//rules:image.bzl", "image_manifest")
load("@drayage//rules:layer.bzl", "image_layer")
load("@drayage//rules:push.bzl", "image_push", "multi_push")

[
    genrule(
        name = name + "_file",
        outs = [name + ".txt"],
        cmd = ("cat %[1]s >/dev/null; " if name == %[2]q else "") + "echo %[2]s %%s >$@" %% name,
        local = True,
        tags = ["no-cache"],
    )
    for name in ["first", "second"]
]

[
    image_layer(
        name = name + "_layer",
        srcs = {"/text": name + "_file"},
    )
    for name in ["first", "second"]
]

[
    image_manifest(
        name = name + "_image",
        layers = [name + "_layer"],
    )
    for name in ["first", "second"]
]

[
    image_push(
        name = name,
        image = image + "_image",
        registry = "registry.example",
        repository = "tags/app",
        tag = tag,
    )
    for name, image, tag in [
        ("first", "first", "git-{BUILD_SCM_REVISION}"),
        ("second", "second", "git-0123456789abcdef0123456789abcdef01234567"),
        ("too", "first", "git-{BUILD_SCM_REVISION}"),
    ]
]

multi_push(
    name = "all",
    pushes = ["first", "second"],
)
`, pipe, held))
	return sync.OnceFunc(func() { check(t, os.WriteFile(pipe, []byte("go on\n"), 0o600)) })
}

// Whichever of the two is pushed first, the tag ends up at the image of the same.
func TestTwoTargetsOfOneBuildThatWantOneTagForTwoImages(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.push(t, "//:push_prod") // so that the tool is there, which takes Bazel a while
	for _, held := range []string{"second", "first"} {
		t.Run("with "+held+" coming last", func(t *testing.T) {
			letGo := twoForOneTag(t, s.workspace, held)
			early := "//tags:" + map[string]string{"second": "first", "first": "second"}[held]
			built := make(chan rig.BazelResult, 1)
			go func() { built <- s.build(t, "--jobs=2", "//tags:first", "//tags:second"); close(built) }()
			t.Cleanup(func() { letGo(); <-built })
			rig.WaitFor(t, 2*pushLimit, "the push of "+early, func() error {
				for _, e := range s.daemon.Ledger(t, ledger.Query{Repository: "tags/app", Limit: 1}) {
					if short(e.Target) == early && e.Outcome.Good() && strings.Contains(e.Tags[0].Name, "git-0123") && e.ExitCode == "" {
						return nil
					}
				}
				return errors.New("it is not in the ledger")
			})
			letGo()
			result := <-built
			s.daemon.WaitPushed(t, result.Invocation, pushLimit)

			rows := byTarget(t, s.daemon.Ledger(t, ledger.Query{Invocation: result.Invocation}))
			late := rows["//tags:"+held]
			for _, want := range []string{
				"push //tags:" + held + " to ", "tag git-0123456789abcdef0123456789abcdef01234567: " + early + " of the same build wants it for another image, " + rows[early].Digest,
				"give each target a tag or a repository of its own",
			} {
				if late.Outcome != ledger.Failed || late.ErrorClass != "conflict" || !strings.Contains(late.Error, want) {
					t.Errorf("the row is %s, %s, without %q: %s", late.Outcome, late.ErrorClass, want, late.Error)
				}
			}
			at, err := rig.PullImage(t, s.registry.Host+"/tags/app:git-0123456789abcdef0123456789abcdef01234567").Digest()
			check(t, err)
			if want := rows["//tags:first"].Digest; at.String() != want {
				t.Errorf("the tag is at %s, want the first label's %s", at, want)
			}
		})
	}
	twoForOneTag(t, s.workspace, "neither")
	rows := s.push(t, "//tags:first", "//tags:too")
	if one, other := wantPushed(t, rows, "//tags:first"), wantPushed(t, rows, "//tags:too"); one.Digest != other.Digest {
		t.Errorf("the images are %s and %s", one.Digest, other.Digest)
	}
	here := s.workspace.TryBazel(t, "run", append(s.flags(), "--@drayage//rules/settings:remote_cache="+s.cache.GRPC, "//tags:all")...)
	want := "nothing was pushed: @@//tags:first and @@//tags:second both write " + s.registry.Host + "/tags/app:git-0123456789abcdef0123456789abcdef01234567, but their images differ"
	if here.ExitCode == 0 || !strings.Contains(here.Stderr, want) {
		t.Errorf("exit code %d, without %q:\n%s", here.ExitCode, want, here.Stderr)
	}
}
