package e2e_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
	bepb "github.com/drayage/drayage/proto/bep"
)

var recordStreams = flag.Bool("record", false, "write bes/bep/testdata/streams anew")

// What drayage wait ends with.
const (
	waitDone       = 0
	waitDenied     = 3
	waitWithheld   = 4
	waitIncomplete = 7
)

// buildThatMayFail is a build, and what is to be known of its pushes.
type buildThatMayFail struct {
	name    string
	command string // build, if empty
	args    []string
	// cut ends the build once its slow push is awaited.
	cut func(*rig.BazelRun, rig.T) rig.BazelResult
	// expected has the state, or the outcome, of every push target.
	expected map[string]string
	wait     int
}

func buildsThatMayFail() []buildThatMayFail {
	keepGoing := func(args ...string) []string { return append([]string{"-k"}, args...) }
	// Bazel otherwise begins to build while it still configures: what it has configured
	// when the first action fails is left to chance.
	inOrder := func(args ...string) []string {
		return append([]string{"--noexperimental_merged_skyframe_analysis_execution"}, args...)
	}
	// A spec is under the first label that has it: leave out those that repeat others'.
	everyGood := []string{"--", "//good/...", "-//good:alias_of_push", "-//good:push_both"}
	return []buildThatMayFail{{
		name: "success", args: everyGood,
		expected: map[string]string{"//good:push": "pushed, pushed", "//good:push_index": "pushed", "//good:with_specs": "pushed"}, wait: waitDone,
	}, {
		name: "failing_test", command: "test", args: []string{"//good:push_index", "//tests/..."},
		expected: map[string]string{"//good:push_index": "present"}, wait: waitDone,
	}, {
		name: "failed_dependency", args: inOrder("//bad:push", "//bad:image", "//bad:layer"),
		expected: map[string]string{"//bad:push": "unbuilt"}, wait: waitIncomplete,
	}, {
		name: "failed_dependency_keep_going", args: keepGoing("//good:push_index", "//bad/..."),
		expected: map[string]string{
			"//good:push_index": "present", "//bad:push": "unbuilt", "//bad:with_specs": "unbuilt", "//bad:push_both": "incomplete",
		}, wait: waitIncomplete,
	}, {
		// Bazel configures nothing then. The ledger knows that the target is a push.
		name: "failed_load", args: []string{"//good:push_index", "//unloadable/..."},
		expected: map[string]string{"//good:push_index": "aborted"}, wait: waitIncomplete,
	}, {
		name: "failed_load_keep_going", args: keepGoing("//good:push_index", "//unloadable/..."),
		expected: map[string]string{"//good:push_index": "present"}, wait: waitIncomplete,
	}, {
		name: "failed_analysis_keep_going", args: keepGoing("//good:push_index", "//unanalysed/..."),
		expected: map[string]string{"//good:push_index": "present"}, wait: waitIncomplete,
	}, {
		name: "broken_sibling_keep_going", args: keepGoing("//good:push_index", "//bad:gen"),
		expected: map[string]string{"//good:push_index": "present"}, wait: waitDone,
	}, {
		// By its name it is asked for, and Bazel fails; success leaves it out silently.
		name: "incompatible_keep_going", args: keepGoing("//good:push_index", "//good:for_windows"),
		expected: map[string]string{"//good:push_index": "present", "//good:for_windows": "aborted"}, wait: waitIncomplete,
	}, {
		// Bazel does not say what an alias stands for.
		name: "alias_of_failed_push", args: []string{"//bad:alias_of_push"},
		expected: map[string]string{}, wait: waitIncomplete,
	}, {
		name: "other_output_groups", args: []string{"//good:push_index", "--output_groups=blobs"},
		expected: map[string]string{"//good:push_index": "lost"}, wait: waitIncomplete,
	}, {
		name: "interrupted", args: []string{"//good:push_index", "//slow:push"}, cut: (*rig.BazelRun).Interrupt,
		expected: map[string]string{"//good:push_index": "present", "//slow:push": "aborted"}, wait: waitIncomplete,
	}, {
		name: "killed", args: []string{"//good:push_index", "//slow:push"}, cut: (*rig.BazelRun).Kill,
		expected: map[string]string{"//good:push_index": "present", "//slow:push": "awaited"}, wait: waitIncomplete,
	}}
}

func TestWhatABuildWasExpectedToPushIsKnownHoweverItEnds(t *testing.T) {
	t.Parallel()
	s := &scene{cache: rig.StartBazelRemote(t), registry: rig.StartProxy(t, rig.StartRegistry(t).Host), workspace: failingWorkspace(t)}
	s.daemon = rig.StartDrayaged(t, rig.DaemonConfig{CAS: s.cache.GRPC, More: map[string]any{"relay": map[string]any{"linger": "1s"}}})
	tap := rig.StartBESTap(t, s.daemon.BES)
	for _, row := range buildsThatMayFail() {
		flags := append(append(s.flags(), "--bes_backend="+tap.GRPC, "--remote_upload_local_results"), row.args...)
		command := row.command
		if command == "" {
			command = "build"
		}
		var result rig.BazelResult
		if row.cut == nil {
			result = s.workspace.TryBazel(t, command, flags...)
		} else {
			run := s.workspace.StartBazel(t, command, flags...)
			s.awaits(t, run.Invocation, "//slow:push")
			s.waitFor(t, run.Invocation, "//good:push_index")
			result = row.cut(run, t)
		}
		out, code := s.wait(t, result.Invocation)
		if code != row.wait {
			t.Errorf("%s: wait ended with %d, want %d:\n%s\n%s", row.name, code, row.wait, out, result.Stderr)
		}
		if diff := cmp.Diff(row.expected, s.expected(t, result.Invocation)); diff != "" {
			t.Errorf("%s: expected pushes (-want +got):\n%s", row.name, diff)
		}
		if *recordStreams {
			record(t, row.name, tap.Messages(result.Invocation), s)
		}
	}
}

// expected is what has become of each target that the invocation should have pushed.
func (s *scene) expected(t *testing.T, invocation string) map[string]string {
	t.Helper()
	set, err := s.daemon.API(t).Expected(t.Context(), invocation)
	check(t, err)
	states := map[string][]string{}
	for _, e := range set.Expected {
		state := string(e.State)
		if e.State == ledger.ExpectedEnded {
			state = string(e.Outcome)
		}
		states[short(e.Target)] = append(states[short(e.Target)], state)
	}
	all := map[string]string{}
	for target, list := range states {
		slices.Sort(list)
		all[target] = strings.Join(list, ", ")
	}
	return all
}

// awaits waits until the daemon knows that a target is to be built.
func (s *scene) awaits(t *testing.T, invocation, target string) {
	t.Helper()
	s.waitForState(t, invocation, target, ledger.ExpectedAwaited)
}

// waitFor waits until a target's push has ended.
func (s *scene) waitFor(t *testing.T, invocation, target string) {
	t.Helper()
	s.waitForState(t, invocation, target, ledger.ExpectedEnded)
}

func (s *scene) waitForState(t *testing.T, invocation, target string, state ledger.ExpectedState) {
	t.Helper()
	rig.WaitFor(t, pushLimit, fmt.Sprintf("%s to be %s", target, state), func() error {
		set, err := s.daemon.API(t).Expected(t.Context(), invocation)
		if err != nil {
			return err
		}
		for _, e := range set.Expected {
			if short(e.Target) == target && e.State == state {
				return nil
			}
		}
		return fmt.Errorf("the expected pushes are %+v", set.Expected)
	})
}

// wait runs drayage wait, and returns what it says and its exit code.
func (s *scene) wait(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), rig.Drayage(t), append([]string{"wait", "--timeout", pushLimit.String()}, args...)...)
	cmd.Env = append(os.Environ(), "DRAYAGE_DAEMON="+s.daemon.URL)
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), exit.ExitCode()
	}
	check(t, err)
	return string(out), 0
}

// record writes what the scanner's own tests read: the events of a stream, less what
// nobody reads.
func record(t *testing.T, name string, messages []rig.BuildMessage, s *scene) {
	t.Helper()
	anonymous := strings.NewReplacer(
		s.workspace.Dir, "/workspace", rig.Root(t), "/drayage", filepath.Dir(s.workspace.Dir), "/home",
		strings.TrimPrefix(s.cache.GRPC, "grpc://"), "cache.example:9092",
	)
	var lines bytes.Buffer
	for _, message := range messages {
		var event bepb.BuildEvent
		if message.Event == nil {
			continue
		}
		check(t, proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(message.Event, &event))
		switch payload := event.GetPayload().(type) {
		case *bepb.BuildEvent_Started:
			event.Payload = &bepb.BuildEvent_Started{Started: &bepb.BuildStarted{Uuid: name, Command: payload.Started.GetCommand()}}
		case *bepb.BuildEvent_Finished:
			payload.Finished.FinishTime, payload.Finished.FinishTimeMillis = nil, 0
		case *bepb.BuildEvent_Expanded, *bepb.BuildEvent_Configured, *bepb.BuildEvent_Completed, *bepb.BuildEvent_NamedSetOfFiles, *bepb.BuildEvent_Aborted:
		default:
			continue
		}
		line, err := protojson.Marshal(&event)
		check(t, err)
		value := jsontext.Value(line)
		check(t, value.Compact()) // it comes with spaces here and there
		lines.WriteString(anonymous.Replace(string(value)) + "\n")
	}
	path := filepath.Join(rig.Root(t), "bes", "bep", "testdata", "streams", name+".jsonl")
	check(t, os.MkdirAll(filepath.Dir(path), 0o755))
	check(t, os.WriteFile(path, lines.Bytes(), 0o644))
}
