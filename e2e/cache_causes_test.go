package e2e_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/pushspec"
)

var exhaustive = flag.Bool("exhaustive", false, "run every row of the tables of which most tell nothing new, as make soak does")

// loss is one green build after which the cache lacks what the push needs.
type loss struct {
	name string
	// lose makes the builds before it, and returns the flags of the build itself.
	lose func(t *testing.T) []string
	// says is a part of the message.
	says string
	// spec says that the push spec is missing, and not the layer alone.
	spec bool
	// mend does what the message wants besides a build, and returns the flags that
	// builds have from then on. Nil leaves both as they are.
	mend func(t *testing.T) []string
	// stays says that later builds go well without what healed.
	stays bool
	// always has `make test` run it, and not `make soak` alone.
	always bool
}

// lossScene is a cache that can be emptied and restarted, and one workspace with its
// Bazel for all losses.
type lossScene struct {
	*scene

	other        *rig.BazelRemote // nobody but some builds uses it
	folder       string
	disk, remote string // flags
	layer        string // its hash
}

const minimal = "--remote_download_minimal"

// fill has the cache, or the disk cache, hold the image, and this machine nothing.
func (s *lossScene) fill(t *testing.T, flags ...string) {
	t.Helper()
	s.workspace.Bazel(t, "build", append(flags, s.flags()[1], "//app:push")...)
	s.layer = s.layerHash(t)
	s.workspace.Bazel(t, "clean")
}

// layerHash reads the push spec that was built here.
func (s *lossScene) layerHash(t *testing.T) string {
	t.Helper()
	spec, err := pushspec.Decode([]byte(s.workspace.Read(t, "bazel-bin/app/push.pushspec.json")))
	check(t, err)
	return spec.Blobs[len(spec.Blobs)-1].Digest.Hex
}

// cached is the state in which Bazel knows from the cache alone what there is.
func (s *lossScene) cached(t *testing.T) {
	t.Helper()
	s.fill(t, s.remote)
	s.workspace.Bazel(t, "build", s.remote, minimal, s.flags()[1], "//app:push")
}

// pushed builds the push, waits for it, and returns the ledger's row.
func (s *lossScene) pushed(t *testing.T, flags ...string) ledger.Entry {
	t.Helper()
	result := s.workspace.Bazel(t, "build", append(flags, s.flags()[1], "--bes_backend="+s.daemon.BES, "//app:push")...)
	s.daemon.WaitPushed(t, result.Invocation, pushLimit)
	rows := byTarget(t, s.daemon.Ledger(t, ledger.Query{Invocation: result.Invocation}))
	row, ok := rows["//app:push"]
	if !ok {
		t.Fatalf("the ledger has no row of //app:push, only %s", outcomes(rows))
	}
	return row
}

// tag gives a target of the workspace a tag.
func (s *lossScene) tag(t *testing.T, target, tag string) {
	t.Helper()
	text := strings.Replace(cacheBuild, `    name = "`+target+`",`, `    name = "`+target+`",`+"\n    tags = [\""+tag+"\"],", 1)
	s.workspace.Write(t, "app/BUILD.bazel", text)
}

// advice is what a message wants a build to have.
var advice = regexp.MustCompile(`'(--[^']+)'|(--[a-z][^ ,'.]*[^ ,'.](?:[.:][^ ,'.]+)*)`)

// advised reads the flags that a message advises.
func advised(message string) []string {
	_, text, _ := strings.Cut(message, "uild again with ")
	var flags []string
	for _, match := range advice.FindAllStringSubmatch(text, -1) {
		flags = append(flags, match[1]+match[2])
	}
	return flags
}

func TestWhatTheCacheDoesNotHaveIsExplainedAndHealed(t *testing.T) {
	t.Parallel()
	cache := rig.StartBazelRemote(t)
	s := &lossScene{scene: &scene{cache: cache}, other: rig.StartBazelRemote(t), folder: t.TempDir()}
	s.remote, s.disk = "--remote_cache="+cache.GRPC, "--disk_cache="+filepath.Join(s.folder, "disk")
	// Nothing is on its way to the cache here.
	s.daemon = rig.StartDrayaged(t, rig.DaemonConfig{CAS: cache.GRPC, More: map[string]any{"cas": map[string]any{"address": cache.GRPC, "grace": "0s"}}})
	s.workspace = cacheWorkspace(t)
	s.workspace.Write(t, ".bazelrc", "")
	for _, row := range losses(s) {
		t.Run(row.name, func(t *testing.T) {
			if !row.always && !*exhaustive {
				t.Skip("make soak runs it")
			}
			row.run(t, s)
		})
	}
}

func (l loss) run(t *testing.T, s *lossScene) {
	s.registry = rig.StartProxy(t, rig.StartRegistry(t).Host)
	s.workspace.Write(t, "app/BUILD.bazel", cacheBuild)
	s.workspace.Bazel(t, "clean")
	check(t, os.RemoveAll(filepath.Join(s.folder, "disk")))
	s.cache.Restart(t)
	s.cache.EvictAll(t)

	flags := l.lose(t)
	failed := s.pushed(t, flags...)
	t.Logf("%v:\n%s", flags, failed.Error)
	if failed.Outcome != ledger.Failed || failed.ErrorClass != "evicted" {
		t.Fatalf("the push is %s, %s: %s", failed.Outcome, failed.ErrorClass, failed.Error)
	}
	what := " of //app:layer is not in the remote cache. "
	if l.spec {
		what = "push //app:push: read the push spec: the remote cache does not have "
	}
	for _, words := range []string{l.says, what, "push //app:push"} {
		if !strings.Contains(failed.Error, words) {
			t.Errorf("the message does not say %q:\n%s", words, failed.Error)
		}
	}

	heals := advised(failed.Error)
	if len(heals) == 0 {
		t.Fatalf("the message advises no flags:\n%s", failed.Error)
	}
	if l.mend != nil {
		flags = l.mend(t)
	}
	if healed := s.pushed(t, append(slices.Clone(flags), heals...)...); !healed.Outcome.Good() {
		t.Fatalf("with %v the push is %s:\n%s", heals, healed.Outcome, healed.Error)
	}
	if l.stays {
		s.registry = rig.StartProxy(t, rig.StartRegistry(t).Host)
		if later := s.pushed(t, flags...); !later.Outcome.Good() {
			t.Errorf("another build, with %v, is %s:\n%s", flags, later.Outcome, later.Error)
		}
	}
}

func losses(s *lossScene) []loss {
	const unlooked, dropped = "Bazel assumes that the cache has it and did not check: ", "The cache has dropped it, and Bazel assumes that it is still there."
	with := func(flags ...string) func(*testing.T) []string {
		return func(*testing.T) []string { return flags }
	}
	restart := func(flags ...string) func(*testing.T) []string {
		return func(t *testing.T) []string {
			s.cache.Restart(t)
			return append([]string{s.remote, minimal}, flags...)
		}
	}
	evicted := func(flags ...string) func(*testing.T) []string {
		return func(t *testing.T) []string {
			s.cached(t)
			s.cache.Evict(t, s.layer)
			return append([]string{s.remote, minimal}, flags...)
		}
	}
	readOnly := func(flags ...string) func(*testing.T) []string {
		return func(t *testing.T) []string {
			users := filepath.Join(s.folder, "users")
			check(t, os.WriteFile(users, []byte("somebody:{SHA}else\n"), 0o600))
			s.cache.Restart(t, "--htpasswd_file", users, "--allow_unauthenticated_reads")
			return append([]string{s.remote, minimal}, flags...)
		}
	}
	small := func(flags ...string) func(*testing.T) []string {
		return func(t *testing.T) []string {
			s.cache.Restart(t, "--max_blob_size", strconv.Itoa(cacheLayerSize/2))
			return append([]string{s.remote, minimal}, flags...)
		}
	}
	rows := []loss{
		{name: "a layer that was built without the cache", says: unlooked, stays: true, lose: func(t *testing.T) []string {
			s.workspace.Bazel(t, "build", "//app:layer")
			return []string{s.remote, minimal}
		}},
		{name: "an image that was built without the cache", says: unlooked, spec: true, stays: true, lose: func(t *testing.T) []string {
			s.workspace.Bazel(t, "build", s.flags()[1], "//app:push")
			return []string{s.remote, minimal}
		}},
		{name: "a disk cache beside it", says: "The build has a disk cache", stays: true, always: true, lose: func(t *testing.T) []string {
			s.workspace.Bazel(t, "build", s.disk, "//app:layer")
			s.workspace.Bazel(t, "clean")
			return []string{s.remote, s.disk, minimal}
		}},
		{name: "a disk cache beside it, and layers asked for", says: "The build has a disk cache", stays: true, lose: func(t *testing.T) []string {
			s.workspace.Bazel(t, "build", s.disk, "//app:layer")
			s.workspace.Bazel(t, "clean")
			return append([]string{s.remote, s.disk, minimal}, uploading...)
		}},
		{name: "a disk cache that has all", says: "The build has a disk cache", spec: true, stays: true, lose: func(t *testing.T) []string {
			s.fill(t, s.disk)
			return []string{s.remote, s.disk, minimal}
		}},
		{name: "an evicted layer", says: unlooked, stays: true, always: true, lose: evicted()},
		{name: "an evicted layer, and layers asked for", says: dropped, stays: true, lose: evicted(uploading...)},
		{name: "an emptied cache", says: unlooked, spec: true, stays: true, lose: func(t *testing.T) []string {
			s.cached(t)
			s.cache.EvictAll(t)
			return []string{s.remote, minimal}
		}},
		{name: "a cache that answers for what it has dropped", says: dropped, stays: true, lose: func(t *testing.T) []string {
			s.cached(t)
			s.cache.Restart(t, "--disable_grpc_ac_deps_check")
			s.cache.Evict(t, s.layer)
			s.workspace.Bazel(t, "clean")
			return append([]string{s.remote, minimal}, uploading...)
		}},
		{name: "a tag of the push target", says: "The tag no-remote of //app:push keeps it out", spec: true, lose: func(t *testing.T) []string {
			s.tag(t, "push", "no-remote")
			return []string{s.remote, minimal}
		}},
		{name: "a flag like a tag", says: "The build's --modify_execution_info keeps it out", stays: true,
			lose: with(s.remote, minimal, "--modify_execution_info=ImageLayer=+no-remote-cache"), mend: with(s.remote, minimal)},
		{name: "a disk cache alone", says: "The build had a disk cache and no remote cache", spec: true, lose: with(s.disk)},
		{name: "no cache", says: "The build had no remote cache", spec: true, lose: with()},
		{name: "told not to upload", says: "by --noremote_upload_local_results", spec: true, lose: with(s.remote, minimal, "--noremote_upload_local_results")},
		{name: "an HTTP cache", says: "The build uses its remote cache over HTTP", spec: true, lose: with("--remote_cache="+s.other.HTTP, minimal)},
		{name: "another cache", says: "The build's remote cache is " + s.other.Address + ", and the daemon reads " + s.cache.GRPC, spec: true, always: true,
			lose: with("--remote_cache="+s.other.GRPC, minimal)},
		{name: "a cache that may be read only", says: "Bazel could not upload it", spec: true, stays: true, always: true, lose: readOnly(), mend: restart()},
		{name: "a cache that may be read only, and layers asked for", says: "Bazel could not upload it", spec: true, stays: true,
			lose: readOnly(uploading...), mend: restart(uploading...)},
		{name: "a layer too large for the cache", says: "Bazel could not upload it", stays: true, lose: small(), mend: restart()},
		{name: "a layer too large for the cache, and layers asked for", says: "Bazel could not upload it", stays: true,
			lose: small(uploading...), mend: restart(uploading...)},
	}
	for _, tag := range []string{"local", "no-cache", "no-remote", "no-remote-cache", "no-remote-cache-upload"} {
		rows = append(rows, loss{name: "the tag " + tag, says: "The tag " + tag + " of //app:layer keeps it out", stays: true, lose: func(t *testing.T) []string {
			s.tag(t, "layer", tag)
			return []string{s.remote, minimal}
		}})
	}
	return rows
}

func TestALayerWhoseTagIsRemovedIsPushed(t *testing.T) {
	t.Parallel()
	s := &lossScene{scene: newScene(t)}
	s.workspace = cacheWorkspace(t)
	s.tag(t, "layer", "no-remote-cache")
	if row := s.pushed(t, "--remote_cache="+s.cache.GRPC); row.ErrorClass != "evicted" || !strings.Contains(row.Error, "Remove the tag") {
		t.Fatalf("with the tag the push is %s, %s: %s", row.Outcome, row.ErrorClass, row.Error)
	}
	s.workspace.Write(t, "app/BUILD.bazel", cacheBuild)
	if row := s.pushed(t, "--remote_cache="+s.cache.GRPC); !row.Outcome.Good() {
		t.Errorf("without the tag the push is %s: %s", row.Outcome, row.Error)
	}
}

// What docs/cache.md has beside the flags of the messages.

func TestAShortTTLHasBazelMakeWhatTheCacheDropped(t *testing.T) {
	t.Parallel()
	s := &lossScene{scene: newScene(t)}
	s.workspace, s.remote = cacheWorkspace(t), "--remote_cache="+s.cache.GRPC
	const ttl = "--experimental_remote_cache_ttl=0s"
	s.fill(t, s.remote)
	s.workspace.Bazel(t, "build", s.remote, minimal, ttl, s.flags()[1], "//app:push")
	s.cache.Evict(t, s.layer)
	if row := s.pushed(t, s.remote, minimal, ttl); !row.Outcome.Good() {
		t.Errorf("the push is %s: %s", row.Outcome, row.Error)
	}
}

func TestBazelCleanHealsWhatNoDiskCacheHas(t *testing.T) {
	t.Parallel()
	s := &lossScene{scene: newScene(t)}
	s.workspace, s.remote = cacheWorkspace(t), "--remote_cache="+s.cache.GRPC
	s.workspace.Bazel(t, "build", s.flags()[1], "//app:push") // without the cache
	s.workspace.Bazel(t, "clean")
	if row := s.pushed(t, s.remote, minimal); !row.Outcome.Good() {
		t.Errorf("after a build without the cache the push is %s: %s", row.Outcome, row.Error)
	}

	s.fill(t, s.remote)
	s.cache.Restart(t, "--disable_grpc_ac_deps_check")
	s.cache.Evict(t, s.layer)
	s.registry = rig.StartProxy(t, rig.StartRegistry(t).Host)
	if row := s.pushed(t, s.remote, minimal, "--noremote_accept_cached"); !row.Outcome.Good() {
		t.Errorf("after an eviction the push is %s: %s", row.Outcome, row.Error)
	}
}

func TestLayersThatAreBroughtOutOfADiskCacheAreUploaded(t *testing.T) {
	t.Parallel()
	s := &lossScene{scene: newScene(t)}
	s.workspace, s.remote, s.disk = cacheWorkspace(t), "--remote_cache="+s.cache.GRPC, "--disk_cache="+filepath.Join(t.TempDir(), "disk")
	s.fill(t, s.disk)
	flags := append([]string{s.remote, s.disk, "--remote_download_toplevel"}, uploading...)
	if row := s.pushed(t, flags...); !row.Outcome.Good() {
		t.Errorf("the push is %s: %s", row.Outcome, row.Error)
	}
}
