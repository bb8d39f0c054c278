package e2e_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

// A commit that changes no source gets tags of its own, and runs nothing.
func TestASecondCommitOfTheSameSourcesRunsNoActionAndHasItsTags(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.workspace.Write(t, "tools/status.sh", `#!/bin/sh
echo "BUILD_SCM_REVISION $COMMIT"
echo "STABLE_COMMIT $COMMIT"
echo "STABLE_BRANCH $BRANCH"
`)
	s.workspace.Write(t, "BUILD.bazel", s.workspace.Read(t, "BUILD.bazel")+`
image_push(
    name = "push_stamped",
    image = ":prod",
    registry = "registry.example",
    repository = "acme/{TEAM:-core}/app",
    tag_list = ["git-{BUILD_SCM_REVISION}", "{STABLE_COMMIT}", "{STABLE_BRANCH|slug}", "{GIT_TAG|slug:-none}"],
)
`)
	events := filepath.Join(t.TempDir(), "events.json")
	pushAt := func(commit, branch string) (row ledger.Entry, ran bazelCount) {
		t.Helper()
		s.workspace.Env = []string{"COMMIT=" + commit, "BRANCH=" + branch}
		row = wantPushed(t, s.push(t, "//:push_stamped", "--build_event_json_file="+events), "//:push_stamped")
		var tags []string
		for _, tag := range row.Tags {
			tags = append(tags, tag.Name)
			digest, err := rig.PullImage(t, row.Registry+"/"+row.Repository+":"+tag.Name).Digest()
			check(t, err)
			if digest.String() != row.Digest {
				t.Errorf("tag %s leads to %s, want %s", tag.Name, digest, row.Digest)
			}
		}
		want := []string{"git-" + commit, commit, strings.ReplaceAll(strings.ToLower(branch), "/", "-"), "none"}
		if row.Repository != "acme/core/app" || !slices.Equal(tags, want) {
			t.Errorf("the tags in %s are %q, want %q", row.Repository, tags, want)
		}
		return row, countActions(t, events)
	}

	first, ran := pushAt("0123abc", "feature/One")
	if ran.executed["ImageManifest"] == 0 || ran.executed["PushSpec"] == 0 {
		t.Fatalf("the first build ran %v: the count counts nothing", ran.executed)
	}
	second, ran := pushAt("4567def", "feature/Two")
	// Bazel asks for the workspace status in every build.
	delete(ran.executed, "BazelWorkspaceStatusAction")
	if len(ran.executed) > 0 {
		t.Errorf("the second build ran %v", ran.executed)
	}
	// The machine of another job of CI, with the cache alone.
	s.workspace.Bazel(t, "clean")
	third, ran := pushAt("89abcde", "feature/Three")
	delete(ran.runners, "total")
	delete(ran.runners, "internal")
	if len(ran.runners) != 1 || ran.runners["remote cache hit"] == 0 {
		t.Errorf("with the cache alone the third build ran %v", ran.runners)
	}
	for _, row := range []ledger.Entry{second, third} {
		if row.Digest != first.Digest {
			t.Errorf("the image is %s, want that of the first commit, %s", row.Digest, first.Digest)
		}
	}
}

// bazelCount is Bazel's own count of what it ran.
type bazelCount struct {
	// executed are actions, by their mnemonics; runners are how they ran.
	executed, runners map[string]int
}

// countActions reads what Bazel wrote with --build_event_json_file.
func countActions(t *testing.T, path string) bazelCount {
	t.Helper()
	data, err := os.ReadFile(path)
	check(t, err)
	for line := range bytes.Lines(data) {
		var event struct {
			Metrics struct {
				Summary *struct {
					Data []struct {
						Mnemonic string `json:"mnemonic"`
						Executed int    `json:"actionsExecuted,string"`
					} `json:"actionData"`
					Runners []struct {
						Name  string `json:"name"`
						Count int    `json:"count"`
					} `json:"runnerCount"`
				} `json:"actionSummary"`
			} `json:"buildMetrics"`
		}
		check(t, json.Unmarshal(line, &event))
		if event.Metrics.Summary == nil {
			continue
		}
		count := bazelCount{map[string]int{}, map[string]int{}}
		for _, d := range event.Metrics.Summary.Data {
			if d.Executed > 0 {
				count.executed[d.Mnemonic] = d.Executed
			}
		}
		for _, r := range event.Metrics.Summary.Runners {
			count.runners[r.Name] = r.Count
		}
		return count
	}
	t.Fatalf("%s has no count of actions", path)
	return bazelCount{}
}
