package bep_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/drayage/drayage/bes/bep"
	pb "github.com/drayage/drayage/proto/bep"
)

func long(n int) string { return strings.Repeat("x", n) }

func metadata(pairs map[string]string) *pb.BuildEvent {
	return &pb.BuildEvent{Payload: &pb.BuildEvent_BuildMetadata{BuildMetadata: &pb.BuildMetadata{Metadata: pairs}}}
}

// kept is all that a scanner wants remembered of its stream, in bytes.
func (s *stream) kept() (bytes int) {
	for _, record := range s.records {
		bytes += len(record)
	}
	return bytes
}

func TestTextsOverTheirBoundAreLeftOutWithAWord(t *testing.T) {
	push := func(name string) *pb.OutputGroup {
		return &pb.OutputGroup{Name: "push_spec", InlineFiles: []*pb.File{{Name: name, File: &pb.File_Contents{Contents: []byte("{}")}}}}
	}
	for _, row := range []struct {
		name  string
		event *pb.BuildEvent
		want  string // of what is refused, or of the error
	}{
		{"a command", &pb.BuildEvent{Payload: &pb.BuildEvent_Started{Started: &pb.BuildStarted{Command: long(8 << 20)}}}, "the command has 8388608 bytes; only the first 256 are kept"},
		{"an exit code", &pb.BuildEvent{Payload: &pb.BuildEvent_Finished{Finished: &pb.BuildFinished{ExitCode: &pb.BuildFinished_ExitCode{Name: long(300)}}}}, "the exit code's name has 300 bytes"},
		{"a value", metadata(map[string]string{"K": long(1 << 20)}), "K of the build metadata, with 1048576 bytes, is left out"},
		{"a key", metadata(map[string]string{long(1 << 20): "v"}), "a key of the build metadata has 1048576 bytes"},
		{"a status", &pb.BuildEvent{Payload: &pb.BuildEvent_WorkspaceStatus{WorkspaceStatus: &pb.WorkspaceStatus{
			Item: []*pb.WorkspaceStatus_Item{{Key: "STABLE_DIFF", Value: long(70_000)}},
		}}}, "STABLE_DIFF of the workspace status, with 70000 bytes, is left out"},
		{"a label", completed("//"+long(8<<20), "", "k8", true, push("a")), "the label has 8388610 bytes; the limit is 4096"},
		{"an aspect", completed("//a", long(5000), "k8", true, push("a")), "the aspect's name has 5000 bytes"},
		{"a configuration", completed("//a", "", long(300), true, push("a")), "the configuration's id has 300 bytes"},
		{"a label that is configured", configured("//"+long(5000), "image_push rule"), "the label has 5002 bytes"},
		{"a file's name", completed("//a", "", "k8", true, push(long(5000))), "the name of a file has 5000 bytes"},
		{"a file's digest", completed("//a", "", "k8", true, &pb.OutputGroup{Name: "push_spec", InlineFiles: []*pb.File{{Name: "a", Digest: long(200), File: &pb.File_Uri{Uri: "file:///a"}}}}), "the digest of a file has 200 bytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b, err := proto.Marshal(row.event)
			if err != nil {
				t.Fatal(err)
			}
			scanner := bep.NewScanner(bep.Options{})
			found, err := scanner.Scan(b)
			told := strings.Join(found.Refused, "\n")
			if err != nil {
				told = err.Error()
			}
			if !strings.Contains(told, row.want) || len(told) > 1000 {
				t.Errorf("it is told %q, want %q", told, row.want)
			}
			for _, record := range found.Remember {
				if len(record) > 1000 {
					t.Errorf("%d bytes are remembered", len(record))
				}
			}
			if size := len(fmt.Sprint(scanner.Invocation())); size > 2000 {
				t.Errorf("the invocation has %d bytes", size)
			}
		})
	}
}

// However many events bring them, and again after a crash.
func TestBuildMetadataTogetherIsBoundedAndWhatWasThereStays(t *testing.T) {
	s := newStream(t, bep.Options{})
	s.send(metadata(map[string]string{"FIRST": "kept"}))
	refused := 0
	for n := range 1000 {
		found := s.send(metadata(map[string]string{fmt.Sprint("K", n): long(1000)}))
		refused += len(found.Refused)
	}
	s.send(metadata(map[string]string{"FIRST": "changed"}))
	got := s.scanner.Invocation().Metadata
	size := 0
	for key, value := range got {
		size += len(key) + len(value)
	}
	if got["FIRST"] != "changed" || size > 64<<10 || size < 50_000 || refused < 900 {
		t.Errorf("FIRST is %q, %d bytes are kept, and %d times something was refused", got["FIRST"], size, refused)
	}
	if kept := s.kept(); kept > 128<<10 {
		t.Errorf("%d bytes are remembered", kept)
	}
	second := newStream(t, bep.Options{})
	for _, record := range s.records {
		if err := second.scanner.Recall(record); err != nil {
			t.Fatal(err)
		}
	}
	if again := second.scanner.Invocation().Metadata; len(again) != len(got) || again["FIRST"] != "changed" {
		t.Errorf("%d keys are recalled, want %d", len(again), len(got))
	}
}

func TestWhatIsRememberedOfAStreamIsBounded(t *testing.T) {
	s := newStream(t, bep.Options{MaxBytes: 64 << 10})
	event := configured("//app:push", "image_push rule")
	event.GetConfigured().Tag = []string{long(1 << 20)}
	for range 100 {
		s.send(event)
		s.send(configured("//app:alias", "alias rule"))
		s.send(&pb.BuildEvent{Payload: &pb.BuildEvent_Started{Started: &pb.BuildStarted{Command: "build", OptionsDescription: long(1 << 20)}}})
		s.send(namedSet("0", []*pb.File{{Name: "a.pushspec.json", PathPrefix: []string{long(1 << 20)}, File: &pb.File_Uri{Uri: "file:///a"}}}))
	}
	if kept := s.kept(); kept > 64<<10 || kept == 0 {
		t.Errorf("%d bytes are remembered", kept)
	}
}

func TestPushSpecsInTheEventsAreKeptUpToABudget(t *testing.T) {
	s := newStream(t, bep.Options{MaxInlineBytes: 10_000})
	send := func(label string, contents string) bep.Found {
		return s.send(completed(label, "", "k8", true, &pb.OutputGroup{Name: "push_spec", InlineFiles: []*pb.File{
			{Name: "a.pushspec.json", File: &pb.File_Contents{Contents: []byte(contents)}},
		}}))
	}
	send("//a", strings.Repeat("a", 6000))
	send("//again", strings.Repeat("a", 6000)) // by an alias, say
	found := send("//b", strings.Repeat("b", 6000))
	send("//c", strings.Repeat("c", 3000))
	if len(s.specs) != 3 || s.specs[2].Label != "//c" || !s.specs[1].Repeated {
		t.Errorf("found %d push specs, want those of //a, again, and //c", len(s.specs))
	}
	if len(found.Refused) != 1 || !strings.Contains(found.Refused[0], "the push spec of //b is left out: it has 6000 bytes in the event itself") {
		t.Errorf("it is told %q", found.Refused)
	}
}

func TestTargetIsAnnouncedInABoundedNumberOfConfigurations(t *testing.T) {
	event := configured("//app:push", "image_push rule")
	for n := range 10_000 {
		event.Children = append(event.Children, completed("//app:push", "", fmt.Sprint(n), true).GetId())
	}
	found := newStream(t, bep.Options{}).send(event)
	if len(found.Targets) != 256 || len(found.Refused) != 1 {
		t.Errorf("%d targets are announced, and it is told %q", len(found.Targets), found.Refused)
	}
}

func TestLossOfATargetIsToldOnce(t *testing.T) {
	var groups []*pb.OutputGroup
	for n := range 1000 {
		groups = append(groups, group("push_spec", fmt.Sprint(n)))
	}
	if found := newStream(t, bep.Options{}).send(completed("//a", "", "k8", true, groups...)); len(found.Lost) != 1 {
		t.Errorf("%d losses are told", len(found.Lost))
	}
}

// A year of five digits can be kept in no database.
func TestTimesThatCannotBeAreNone(t *testing.T) {
	for _, seconds := range []int64{1 << 60, -1 << 60, 253402300800} {
		s := newStream(t, bep.Options{})
		s.send(&pb.BuildEvent{Payload: &pb.BuildEvent_Started{Started: &pb.BuildStarted{StartTime: &timestamppb.Timestamp{Seconds: seconds}}}})
		s.send(&pb.BuildEvent{Payload: &pb.BuildEvent_Finished{Finished: &pb.BuildFinished{FinishTimeMillis: seconds}}})
		if i := s.scanner.Invocation(); !i.Started.IsZero() || i.FinishedAt.After(time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%d seconds are %v and %v", seconds, i.Started, i.FinishedAt)
		}
	}
}

// Protobuf takes a field of another wire type for an unknown one.
func TestFieldsOfAnotherWireTypeArePassedOver(t *testing.T) {
	field := func(num protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), value)
	}
	varint := func(num protowire.Number) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), 1)
	}
	fixed := func(num protowire.Number) []byte {
		return protowire.AppendFixed32(protowire.AppendTag(nil, num, protowire.Fixed32Type), 1)
	}
	join := func(parts ...[]byte) (all []byte) {
		for _, part := range parts {
			all = append(all, part...)
		}
		return all
	}
	const contents, uri = 3, 2
	name := field(1, []byte("a.pushspec.json"))
	for _, row := range []struct {
		name string
		file []byte
	}{
		{"a varint for the URI", join(name, varint(uri))},
		{"a fixed number for the URI", join(name, fixed(uri))},
		{"a varint for the contents", join(name, varint(contents))},
		{"an empty URI", join(name, field(uri, nil))},
		{"nothing", name},
	} {
		id := field(1, field(5, field(1, []byte("//a"))))
		event := join(id, field(8, join(varint(1), field(2, join(field(1, []byte("push_spec")), field(5, row.file))))))
		found, err := bep.NewScanner(bep.Options{}).Scan(event)
		if err != nil || len(found.Specs) > 0 {
			t.Errorf("%s: found %+v, %v; want no push spec", row.name, found.Specs, err)
		}
	}
	// A number where a whole event part must be.
	for num := range protowire.Number(30) {
		if num == 0 {
			continue
		}
		found, err := bep.NewScanner(bep.Options{}).Scan(join(varint(num), fixed(num)))
		if err != nil || found.Changed || len(found.Remember) > 0 {
			t.Errorf("field %d: found %+v, %v; want nothing", num, found, err)
		}
	}
}
