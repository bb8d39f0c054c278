package bep_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/drayage/drayage/bes/bep"
	pb "github.com/drayage/drayage/proto/bep"
)

// stream scans events and gathers what they yield.
type stream struct {
	t       *testing.T
	scanner *bep.Scanner
	specs   []bep.SpecFile
	lost    []bep.LostGroup
	targets []bep.PushTarget
	records [][]byte
	full    int
}

func newStream(t *testing.T, options bep.Options) *stream {
	t.Helper()
	return &stream{t: t, scanner: bep.NewScanner(options)}
}

func (s *stream) send(event *pb.BuildEvent) bep.Found {
	s.t.Helper()
	b, err := proto.Marshal(event)
	if err != nil {
		s.t.Fatal(err)
	}
	found, err := s.scanner.Scan(b)
	if err != nil {
		s.t.Fatalf("Scan(%v): %v", event, err)
	}
	clear(b) // the scanner must have kept nothing of it
	s.specs = append(s.specs, found.Specs...)
	s.lost = append(s.lost, found.Lost...)
	s.records = append(s.records, found.Remember...)
	if found.Full {
		s.full++
	}
	return found
}

const hashA = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func casFile(name, hash string) *pb.File {
	return &pb.File{
		Name: name, Digest: hash, Length: 7,
		File: &pb.File_Uri{Uri: "bytestream://cas:9092/main/blobs/" + hash + "/7"},
	}
}

func setID(id string) *pb.BuildEventId_NamedSetOfFilesId {
	return &pb.BuildEventId_NamedSetOfFilesId{Id: id}
}

func namedSet(id string, files []*pb.File, links ...string) *pb.BuildEvent {
	set := &pb.NamedSetOfFiles{Files: files}
	for _, link := range links {
		set.FileSets = append(set.FileSets, setID(link))
	}
	return &pb.BuildEvent{
		Id:      &pb.BuildEventId{Id: &pb.BuildEventId_NamedSet{NamedSet: setID(id)}},
		Payload: &pb.BuildEvent_NamedSetOfFiles{NamedSetOfFiles: set},
	}
}

func group(name string, sets ...string) *pb.OutputGroup {
	g := &pb.OutputGroup{Name: name}
	for _, id := range sets {
		g.FileSets = append(g.FileSets, setID(id))
	}
	return g
}

func completed(label, aspect, configuration string, success bool, groups ...*pb.OutputGroup) *pb.BuildEvent {
	return &pb.BuildEvent{
		Id: &pb.BuildEventId{Id: &pb.BuildEventId_TargetCompleted{TargetCompleted: &pb.BuildEventId_TargetCompletedId{
			Label: label, Aspect: aspect, Configuration: &pb.BuildEventId_ConfigurationId{Id: configuration},
		}}},
		Payload: &pb.BuildEvent_Completed{Completed: &pb.TargetComplete{Success: success, OutputGroup: groups}},
	}
}

func configured(label, kind string) *pb.BuildEvent {
	return &pb.BuildEvent{
		Id: &pb.BuildEventId{Id: &pb.BuildEventId_TargetConfigured{
			TargetConfigured: &pb.BuildEventId_TargetConfiguredId{Label: label},
		}},
		Payload: &pb.BuildEvent_Configured{Configured: &pb.TargetConfigured{TargetKind: kind}},
	}
}

func fileA(name string) bep.File {
	return bep.File{
		Name: name, Digest: hashA, Length: 7, Function: "sha256", Host: "cas:9092", Instance: "main",
		URI: "bytestream://cas:9092/main/blobs/" + hashA + "/7",
	}
}

func TestSpecInBothGroupsIsReportedOnceAsOfThePushSpecGroup(t *testing.T) {
	s := newStream(t, bep.Options{})
	s.send(configured("//app:push", "image_push rule"))
	s.send(namedSet("0", []*pb.File{casFile("app/push.pushspec.json", hashA)}))
	s.send(completed("//app:push", "", "k8", true, group("default", "0"), group("push_spec", "0")))
	want := []bep.SpecFile{{
		Label: "//app:push", Configuration: "k8", TargetKind: "image_push rule", OutputGroup: "push_spec",
		Succeeded: true, File: fileA("app/push.pushspec.json"),
	}}
	if diff := cmp.Diff(want, s.specs); diff != "" {
		t.Error(diff)
	}
}

func TestSpecIsFoundThroughNestedSets(t *testing.T) {
	s := newStream(t, bep.Options{})
	s.send(namedSet("0", []*pb.File{casFile("app/push.pushspec.json", hashA)}))
	for i := range 50 {
		s.send(namedSet(fmt.Sprint(i+1), []*pb.File{casFile("other.txt", hashA)}, fmt.Sprint(i)))
	}
	s.send(completed("//app:all", "", "k8", true, group("default", "50")))
	if len(s.specs) != 1 {
		t.Errorf("found %d specs, want 1", len(s.specs))
	}
}

func TestAspectAliasAndSecondConfigurationAreRepeats(t *testing.T) {
	s := newStream(t, bep.Options{})
	s.send(configured("//app:alias", "alias rule"))
	s.send(namedSet("0", []*pb.File{casFile("push.pushspec.json", hashA)}))
	s.send(completed("//app:push", "", "k8", true, group("push_spec", "0")))
	s.send(completed("//app:push", "//d:a.bzl%a", "k8", true, group("push_spec", "0")))
	s.send(completed("//app:alias", "", "k8", true, group("push_spec", "0")))
	s.send(completed("//app:push", "", "arm", true, group("push_spec", "0")))
	var got []string
	for _, f := range s.specs {
		got = append(got, fmt.Sprintf("%s|%s|%s|%s|%v", f.Label, f.Aspect, f.Configuration, f.TargetKind, f.Repeated))
	}
	want := []string{
		"//app:push||k8||false",
		"//app:push|//d:a.bzl%a|k8||true",
		"//app:alias||k8|alias rule|true",
		"//app:push||arm||true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFailedTargetAndIncompleteGroupAreMarked(t *testing.T) {
	s := newStream(t, bep.Options{})
	s.send(namedSet("0", []*pb.File{casFile("push.pushspec.json", hashA)}))
	g := group("push_spec", "0")
	g.Incomplete = true
	s.send(completed("//app:push", "", "k8", false, g))
	if len(s.specs) != 1 || !s.specs[0].Incomplete || s.specs[0].Succeeded {
		t.Errorf("got %+v, want one spec, incomplete, of a failed target", s.specs)
	}
}

func TestInlineFilesAndContents(t *testing.T) {
	s := newStream(t, bep.Options{})
	inline := &pb.File{Name: "x.pushspec.json", File: &pb.File_Contents{Contents: []byte("{}")}}
	s.send(completed("//app:push", "", "k8", true, &pb.OutputGroup{Name: "push_spec", InlineFiles: []*pb.File{inline}}))
	want := []bep.File{{Name: "x.pushspec.json", Contents: []byte("{}"), Length: 2}}
	var got []bep.File
	for _, spec := range s.specs {
		got = append(got, spec.File)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPushSpecGroupTakesFilesOfAnyName(t *testing.T) {
	s := newStream(t, bep.Options{})
	s.send(namedSet("0", []*pb.File{casFile("deploy.json", hashA)}))
	s.send(namedSet("1", nil, "0"))
	s.send(completed("//app:push", "", "k8", true, group("push_spec", "1"), group("default", "1")))
	if len(s.specs) != 1 || s.specs[0].File.Name != "deploy.json" {
		t.Errorf("got %+v, want deploy.json", s.specs)
	}
}

func TestPushSpecGroupWithUnknownSetIsLostLoudly(t *testing.T) {
	s := newStream(t, bep.Options{})
	s.send(completed("//app:push", "", "k8", true, group("push_spec", "7"), group("default", "7")))
	want := []bep.LostGroup{{Label: "//app:push", Configuration: "k8", OutputGroup: "push_spec"}}
	if diff := cmp.Diff(want, s.lost); diff != "" {
		t.Error(diff)
	}
}

func TestOtherGroupsYieldNothing(t *testing.T) {
	s := newStream(t, bep.Options{})
	s.send(namedSet("0", []*pb.File{casFile("x.pushspec.json", hashA)}))
	s.send(completed("//app:x", "", "k8", true, group("other", "0")))
	if len(s.specs) != 0 {
		t.Errorf("found %d specs, want none", len(s.specs))
	}
}

func TestCapIsReachedLoudlyOnce(t *testing.T) {
	s := newStream(t, bep.Options{MaxBytes: 4096, WindowBytes: -1})
	for i := range 100 {
		s.send(namedSet(fmt.Sprint(i), []*pb.File{casFile(fmt.Sprintf("%d.pushspec.json", i), hashA)}))
	}
	if s.full != 1 {
		t.Errorf("Full was said %d times, want once", s.full)
	}
}

func TestInvocationIsCollected(t *testing.T) {
	s := newStream(t, bep.Options{})
	s.send(&pb.BuildEvent{Payload: &pb.BuildEvent_Started{Started: &pb.BuildStarted{
		Uuid: "id", Command: "build", BuildToolVersion: "7.7.1", StartTimeMillis: 1500,
	}}})
	s.send(&pb.BuildEvent{Payload: &pb.BuildEvent_WorkspaceStatus{WorkspaceStatus: &pb.WorkspaceStatus{
		Item: []*pb.WorkspaceStatus_Item{{Key: "BUILD_SCM_REVISION", Value: "abc"}},
	}}})
	s.send(&pb.BuildEvent{Payload: &pb.BuildEvent_BuildMetadata{BuildMetadata: &pb.BuildMetadata{
		Metadata: map[string]string{"USER": "me"},
	}}})
	s.send(&pb.BuildEvent{Payload: &pb.BuildEvent_Expanded{Expanded: &pb.PatternExpanded{}}})
	s.send(&pb.BuildEvent{
		Id: &pb.BuildEventId{Id: &pb.BuildEventId_TargetConfigured{TargetConfigured: &pb.BuildEventId_TargetConfiguredId{Label: "//a"}}},
		Payload: &pb.BuildEvent_Aborted{Aborted: &pb.Aborted{
			Reason: pb.Aborted_LOADING_FAILURE, Description: "no such package",
		}},
	})
	found := s.send(&pb.BuildEvent{Payload: &pb.BuildEvent_Finished{Finished: &pb.BuildFinished{
		ExitCode: &pb.BuildFinished_ExitCode{Name: "TESTS_FAILED", Code: 3}, FinishTimeMillis: 2500,
	}}})
	if !found.Changed {
		t.Error("Found.Changed is false for the end of the build")
	}
	got := s.scanner.Invocation()
	if got.Started.UnixMilli() != 1500 || got.FinishedAt.UnixMilli() != 2500 {
		t.Errorf("started %v, finished %v", got.Started, got.FinishedAt)
	}
	want := bep.Invocation{
		ID: "id", Command: "build", ToolVersion: "7.7.1", Started: got.Started, FinishedAt: got.FinishedAt,
		Status: map[string]string{"BUILD_SCM_REVISION": "abc"}, Metadata: map[string]string{"USER": "me"},
		Finished: true, ExitName: "TESTS_FAILED", ExitCode: 3,
		Unconfigured: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMalformedEventIsAnErrorAndTheNextIsRead(t *testing.T) {
	scanner := bep.NewScanner(bep.Options{})
	if _, err := scanner.Scan([]byte{0x0a, 0xff}); err == nil {
		t.Error("a cut event was read without an error")
	}
	b, err := proto.Marshal(namedSet("0", []*pb.File{casFile("x.pushspec.json", hashA)}))
	if err != nil {
		t.Fatal(err)
	}
	if found, err := scanner.Scan(b); err != nil || len(found.Remember) != 1 {
		t.Errorf("Scan after a malformed event: %+v, %v", found, err)
	}
}
