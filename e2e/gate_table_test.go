package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/pushspec"
)

// ending is a way in which a build of two images ends.
type ending struct {
	name    string
	command string // build, if empty
	args    []string
	// cut ends the build once its slow push is awaited.
	cut func(*rig.BazelRun, rig.T) rig.BazelResult
	// kills says that the daemon is killed between the first tag and the second.
	kills bool
	// green says that the build ends well.
	green bool
}

func endings() []ending {
	return []ending{
		{name: "it ends well", args: []string{"//release/..."}, green: true},
		{name: "a test fails", command: "test", args: []string{"//release/...", "//tests:fails_test"}},
		{name: "another target fails (`-k`)", args: []string{"-k", "//release/...", "//bad:gen"}},
		{name: "a push target is not built (`-k`)", args: []string{"-k", "//release/...", "//bad:push"}},
		{name: "Ctrl-C", args: []string{"//release/...", "//slow:push"}, cut: (*rig.BazelRun).Interrupt},
		{name: "`kill -9` of Bazel", args: []string{"//release/...", "//slow:push"}, cut: (*rig.BazelRun).Kill},
		{name: "`kill -9` of the daemon between two tags", args: []string{"//release/..."}, kills: true, green: true},
	}
}

var gates = []pushspec.Gate{pushspec.GatePushed, pushspec.GateGreen, pushspec.GateApproved}

// gateImages are the images of endingsWorkspace.
var gateImages = []string{"app", "web"}

// The table in docs/release.md is what real builds of Bazel leave behind.
func TestWhatATagPointsToHoweverABuildEnds(t *testing.T) {
	t.Parallel()
	s := &scene{cache: rig.StartBazelRemote(t), registry: rig.StartProxy(t, rig.StartRegistry(t).Host), workspace: endingsWorkspace(t)}
	s.daemon = rig.StartDrayaged(t, rig.DaemonConfig{CAS: s.cache.GRPC, More: map[string]any{"relay": map[string]any{"linger": "1s"}}})
	rows := []string{
		"| the build | gate | in the registry by digest | tags that moved | ledger | Bazel, held | `drayage wait` |",
		"| --- | --- | --- | --- | --- | --- | --- |",
	}
	for i, end := range endings() {
		for _, gate := range gates {
			cell := gateCell{scene: s, ending: end, gate: gate, name: fmt.Sprintf("e%d_%s", i, gate)}
			cell.build(t)
			rows = append(rows, cell.row(t))
		}
	}
	table := strings.Join(rows, "\n") + "\n"
	path := filepath.Join(rig.Root(t), "docs", "release.md")
	page, err := os.ReadFile(path)
	check(t, err)
	const begin, end = "<!-- the table begins -->\n", "<!-- the table ends -->"
	before, rest, found := strings.Cut(string(page), begin)
	kept, after, foundEnd := strings.Cut(rest, end)
	if !found || !foundEnd {
		t.Fatalf("%s has no place for the table", path)
	}
	if *recordStreams {
		check(t, os.WriteFile(path, []byte(before+begin+table+end+after), 0o644))
		return
	}
	if diff := cmp.Diff(strings.Split(kept, "\n"), strings.Split(table, "\n")); diff != "" {
		t.Errorf("the table of docs/release.md is not what was seen (-page +seen); go test ./e2e -run %s -args -record writes it anew:\n%s", t.Name(), diff)
	}
}

// gateCell is a build that ends in some way, under a gate.
type gateCell struct {
	*scene
	ending

	gate pushspec.Gate
	// name is the folder of its repositories.
	name   string
	result rig.BazelResult
	waited int
}

// build builds, and sees the build's pushes through.
func (c *gateCell) build(t *testing.T) {
	t.Helper()
	flags := append(c.flags(), "--bes_backend="+c.daemon.BES, "--remote_upload_local_results",
		"--build_metadata=DRAYAGE_RELEASE="+string(c.gate), "--build_metadata=CELL="+c.name, "--build_metadata=DRAYAGE_HOLD=true")
	flags = append(flags, c.args...)
	command := c.command
	if command == "" {
		command = "build"
	}
	if c.kills && c.gate != pushspec.GateApproved {
		defer c.killBetweenTags(t)()
	}
	if c.cut == nil {
		c.result = c.workspace.TryBazel(t, command, flags...)
	} else {
		run := c.workspace.StartBazel(t, command, flags...)
		c.awaits(t, run.Invocation, "//slow:push")
		for _, name := range gateImages {
			c.waitFor(t, run.Invocation, "//release:"+name)
		}
		c.result = c.cut(run, t)
	}
	until := "pushed"
	if c.gate == pushspec.GateApproved {
		until = "staged"
	}
	_, c.waited = c.wait(t, c.result.Invocation, "--until", until)
	if c.kills && c.gate == pushspec.GateApproved {
		survived := c.killBetweenTags(t)
		// It ends with an error if the daemon is killed before it has answered.
		_, _ = c.drayage(t, "promote", c.result.Invocation)
		survived()
		_, c.waited = c.wait(t, c.result.Invocation)
	}
}

// killBetweenTags has the daemon killed once one tag is written and the next is about to
// be. The function that it returns waits until that has happened, and the daemon is back.
func (c *gateCell) killBetweenTags(t *testing.T) (survived func()) {
	t.Helper()
	var mu sync.Mutex
	first := true
	second, killed := make(chan struct{}), make(chan struct{})
	signal := sync.OnceFunc(func() { close(second) })
	c.registry.Break(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, "/manifests/latest") {
			next.ServeHTTP(w, r)
			return
		}
		mu.Lock()
		mine := first
		if mine {
			next.ServeHTTP(w, r)
			first = false
		}
		mu.Unlock()
		if !mine {
			signal()
			<-killed
			panic(http.ErrAbortHandler)
		}
	})
	back := make(chan struct{})
	go func() {
		defer close(back)
		select {
		case <-second:
		case <-t.Context().Done():
			return
		}
		c.daemon.Kill()
		c.registry.Break(nil)
		close(killed)
		c.daemon.Start(t)
	}()
	return func() { <-back }
}

// row is the cell's line of the table. What must hold of every cell is checked here.
func (c *gateCell) row(t *testing.T) string {
	t.Helper()
	rows := byTarget(t, lastRows(c.daemon.Ledger(t, ledger.Query{Invocation: c.result.Invocation})))
	var there, tags int
	outcomes := map[string]bool{}
	for _, name := range gateImages {
		row, found := rows["//release:"+name]
		if !found {
			t.Errorf("%s: the ledger has no row of %s", c.name, name)
			continue
		}
		outcome := string(row.Outcome)
		if row.ErrorClass != "" {
			outcome += " (" + row.ErrorClass + ")"
		}
		outcomes[outcome] = true
		repository := "acme/" + c.name + "/" + name
		if digest, err := served(t.Context(), c.registry.Host, repository, row.Digest); err == nil && digest == row.Digest {
			there++
		}
		if digest, err := served(t.Context(), c.registry.Host, repository, "latest"); err == nil {
			if digest != row.Digest {
				t.Errorf("%s: the tag of %s points to %s, and the image is %s", c.name, name, digest, row.Digest)
			}
			tags++
		}
	}
	if there != len(gateImages) {
		t.Errorf("%s: %d images are in the registry, want all of them whatever the gate", c.name, there)
	}
	want := 0
	if c.gate == pushspec.GatePushed || c.green && (c.gate == pushspec.GateGreen || c.kills) {
		want = len(gateImages)
	}
	if tags != want {
		t.Errorf("%s: %d tags have moved, want %d", c.name, tags, want)
	}
	gate := string(c.gate)
	if c.kills && c.gate == pushspec.GateApproved {
		gate += ", promoted"
	}
	bazel := strconv.Itoa(c.result.ExitCode)
	if c.result.ExitCode < 0 {
		bazel = "killed"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %d |", c.ending.name, gate, all(there), all(tags),
		strings.Join(slices.Sorted(maps.Keys(outcomes)), ", "), bazel, c.waited)
}

// all is a number of the images, as the table says it.
func all(n int) string {
	switch n {
	case 0:
		return "none"
	case len(gateImages):
		return "all"
	}
	return strconv.Itoa(n)
}

// lastRows are the latest rows of each target.
func lastRows(rows []ledger.Entry) []ledger.Entry {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(rows), func(e ledger.Entry) bool {
		if seen[e.Target] {
			return true
		}
		seen[e.Target] = true
		return false
	})
}
