package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

// bazelrcBlock is a block of a page that is a .bazelrc.
var bazelrcBlock = regexp.MustCompile("(?ms)^```\n((?:#[^\n]*\n|\n)*build --.*?)^```$")

// bazelrc reads the .bazelrc that a page advises.
func bazelrc(t *testing.T, page string) string {
	t.Helper()
	for _, block := range bazelrcBlock.FindAllStringSubmatch(readPage(t, rig.Root(t), page), -1) {
		if strings.Contains(block[1], "--remote_download_minimal") {
			return block[1]
		}
	}
	t.Fatalf("%s has no .bazelrc", page)
	return ""
}

func TestTheAdvisedBazelrcUploadsWhatIsThereAndBringsNothing(t *testing.T) {
	t.Parallel()
	cache := rig.StartBazelRemote(t)
	daemon := rig.StartDrayaged(t, rig.DaemonConfig{CAS: cache.GRPC})
	w := cacheWorkspace(t)
	for _, page := range []string{"README.md", "docs/rules.md", "docs/cache.md"} {
		t.Run(page, func(t *testing.T) {
			registry := rig.StartRegistry(t)
			rc := bazelrc(t, page)
			for _, address := range []string{"grpc://127.0.0.1:9090", "grpc://drayaged.example:9090"} {
				rc = strings.ReplaceAll(rc, address, daemon.BES)
			}
			rc = strings.ReplaceAll(rc, "grpc://cache.example:9092", cache.GRPC)
			for _, needed := range []string{
				"--remote_cache=" + cache.GRPC, "--bes_backend=" + daemon.BES, "--@drayage//rules/settings:remote_cache=" + cache.GRPC,
				"--@drayage//rules/settings:registry=" + registry.Host,
			} {
				if name, _, _ := strings.Cut(needed, "="); !strings.Contains(rc, name+"=") {
					rc += "build " + needed + "\n"
				}
			}
			w.Write(t, ".bazelrc", rc)
			w.Bazel(t, "clean")
			// A layer that no other page's build has made.
			w.Write(t, "app/data.bin", page+w.Read(t, "app/data.bin"))

			w.Bazel(t, "build", "--remote_cache=", "--bes_backend=", "//app:push")
			result := w.Bazel(t, "build", "//app:push")
			daemon.WaitPushed(t, result.Invocation, pushLimit)
			wantPushed(t, byTarget(t, daemon.Ledger(t, ledger.Query{Invocation: result.Invocation})), "//app:push")

			// The cache has the layer, and now it learns which action makes it.
			w.Bazel(t, "clean")
			w.Bazel(t, "build", "//app:push")

			w.Bazel(t, "clean")
			w.Bazel(t, "run", "//app:push")
			brought, err := filepath.Glob(filepath.Join(w.Dir, "bazel-bin/app/layer.tar*"))
			check(t, err)
			for _, layer := range brought {
				if _, err := os.Stat(layer); err == nil {
					t.Errorf("bazel run brought %s", layer)
				}
			}
			if _, err := os.Stat(filepath.Join(w.Dir, "bazel-bin/app/push.sh")); err != nil {
				t.Error(err)
			}
		})
	}
}
