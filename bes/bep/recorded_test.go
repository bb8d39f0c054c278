package bep_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/drayage/drayage/bes/bep"
	pb "github.com/drayage/drayage/proto/bep"
)

// recorded scans a stream that Bazel sent. The streams are those of
// TestWhatABuildWasExpectedToPushIsKnownHoweverItEnds in e2e, which writes them with
// -record.
func recorded(t *testing.T, name string) *stream {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "streams", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	s := newStream(t, bep.Options{})
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var event pb.BuildEvent
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s.targets = append(s.targets, s.send(&event).Targets...)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return s
}

// ends are how the push targets of a stream ended. Bazel's order is that of chance.
func (s *stream) ends() []string {
	words := map[bep.TargetState]string{
		bep.TargetBuilt: "built", bep.TargetSkipped: "skipped", bep.TargetFailed: "failed", bep.TargetGivenUp: "given up", bep.TargetSilent: "silent",
	}
	open := map[string]bool{}
	var ends []string
	for _, target := range s.targets {
		switch {
		case target.State == bep.TargetAwaited:
			open[target.Label] = true
		case target.Unsure:
			ends = append(ends, fmt.Sprintf("%s, if it is a push: %s", words[target.State], target.Label))
		default:
			delete(open, target.Label)
			ends = append(ends, words[target.State]+": "+target.Label)
		}
	}
	for label := range open {
		ends = append(ends, "awaited: "+label)
	}
	slices.Sort(ends)
	return ends
}

func TestPushTargetsOfRealBuildsAreKnownHoweverTheyEnd(t *testing.T) {
	for name, want := range map[string]struct {
		ends         []string
		unconfigured int
	}{
		"success":           {ends: []string{"built: //good:push", "built: //good:push_index", "skipped: //good:for_windows"}},
		"failing_test":      {ends: []string{"built: //good:push_index"}},
		"failed_dependency": {ends: []string{"failed: //bad:push", "given up, if it is a push: //bad:image", "given up, if it is a push: //bad:layer"}},
		"failed_dependency_keep_going": {ends: []string{
			"built: //good:push_index", "failed, if it is a push: //bad:gen", "failed, if it is a push: //bad:layer", "failed, if it is a push: //bad:image",
			"failed: //bad:push", "failed, if it is a push: //bad:alias_of_push", "failed: //bad:with_specs", "built: //bad:push_both",
		}, unconfigured: 1},
		"failed_load":                {ends: []string{"given up, if it is a push: //good:push_index"}, unconfigured: 2},
		"failed_load_keep_going":     {ends: []string{"built: //good:push_index", "given up, if it is a push: //unloadable:push"}, unconfigured: 1},
		"failed_analysis_keep_going": {ends: []string{"built: //good:push_index", "given up, if it is a push: //unanalysed:push"}, unconfigured: 1},
		"broken_sibling_keep_going":  {ends: []string{"built: //good:push_index", "failed, if it is a push: //bad:gen"}},
		"incompatible_keep_going":    {ends: []string{"built: //good:push_index", "given up: //good:for_windows"}},
		"alias_of_failed_push":       {ends: []string{"failed, if it is a push: //bad:alias_of_push"}, unconfigured: 1},
		"other_output_groups":        {ends: []string{"silent: //good:push_index"}},
		"interrupted":                {ends: []string{"built: //good:push_index", "given up: //slow:push"}},
		"killed":                     {ends: []string{"built: //good:push_index", "awaited: //slow:push"}},
	} {
		s := recorded(t, name)
		slices.Sort(want.ends)
		if diff := cmp.Diff(want.ends, s.ends()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got := s.scanner.Invocation().Unconfigured; got != want.unconfigured {
			t.Errorf("%s: %d were never configured, want %d", name, got, want.unconfigured)
		}
	}
}

func TestTheReasonOfAMissingPushIsBazels(t *testing.T) {
	for name, want := range map[string]string{
		"failed_dependency":          "bash failed: error executing Genrule command (from target //bad:gen)",
		"failed_analysis_keep_going": "no such package 'nowhere'",
		"interrupted":                "USER_INTERRUPTED",
	} {
		var reasons []string
		for _, target := range recorded(t, name).targets {
			reasons = append(reasons, target.Reason)
		}
		if text := strings.Join(reasons, "\n"); !strings.Contains(text, want) {
			t.Errorf("%s: the reasons are %q, want %q among them", name, text, want)
		}
	}
}

func TestATargetOfAnotherRuleIsAPushIfItsTagSaysSo(t *testing.T) {
	s := newStream(t, bep.Options{})
	event := configured("//:foreign", "their_push rule")
	event.GetConfigured().Tag = []string{"manual", "drayage-push"}
	found := s.send(event)
	if len(found.Targets) != 1 || found.Targets[0].Unsure {
		t.Fatalf("found %+v, want a push target", found.Targets)
	}
	found = s.send(completed("//:foreign", "", "k8", false))
	want := []bep.PushTarget{{Label: "//:foreign", Configuration: "k8", State: bep.TargetFailed, Reason: "Bazel does not say why"}}
	if diff := cmp.Diff(want, found.Targets); diff != "" {
		t.Error(diff)
	}
}

func TestABuildThatFailedBeforeItKnewItsTargetsHasSomethingUnconfigured(t *testing.T) {
	s := newStream(t, bep.Options{})
	s.send(&pb.BuildEvent{Payload: &pb.BuildEvent_Finished{Finished: &pb.BuildFinished{
		ExitCode: &pb.BuildFinished_ExitCode{Name: "EXTERNAL_DEPS_ERROR", Code: 48},
	}}})
	if got := s.scanner.Invocation().Unconfigured; got != 1 {
		t.Errorf("%d were never configured, want 1", got)
	}
}

func TestAScannerThatGoesOnKnowsWhichTargetsArePushes(t *testing.T) {
	first := newStream(t, bep.Options{})
	first.send(configured("//:push", "image_push rule"))
	second := newStream(t, bep.Options{})
	for _, record := range first.records {
		if err := second.scanner.Recall(record); err != nil {
			t.Fatal(err)
		}
	}
	if found := second.send(completed("//:push", "", "k8", false)); len(found.Targets) != 1 || found.Targets[0].Unsure {
		t.Errorf("found %+v, want a push target that failed", found.Targets)
	}
}
