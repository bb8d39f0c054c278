package bep_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/bes/bep"
	pb "github.com/drayage/drayage/proto/bep"
)

func TestScannerGoesOnFromRecordsWhereAnotherWasCutOff(t *testing.T) {
	first := newStream(t, bep.Options{})
	first.send(&pb.BuildEvent{Payload: &pb.BuildEvent_Started{Started: &pb.BuildStarted{
		Uuid: "id", Command: "build", OptionsDescription: "--bes_header=x-api-key=hunter2", StartTimeMillis: 9,
	}}})
	first.send(&pb.BuildEvent{Payload: &pb.BuildEvent_BuildMetadata{BuildMetadata: &pb.BuildMetadata{
		Metadata: map[string]string{"USER": "me"},
	}}})
	first.send(namedSet("0", []*pb.File{casFile("a.txt", hashA), casFile("push.pushspec.json", hashA)}))
	first.send(namedSet("1", []*pb.File{casFile("b.txt", hashA)}, "0"))
	first.send(namedSet("2", []*pb.File{casFile("c.txt", hashA)}))

	second := newStream(t, bep.Options{})
	for _, record := range first.records {
		if bytes.Contains(record, []byte("hunter2")) {
			t.Errorf("a record holds the command line: %q", record)
		}
		if err := second.scanner.Recall(record); err != nil {
			t.Fatal(err)
		}
	}
	if len(first.records) != 4 {
		t.Errorf("%d records were given, want 4: none for the set that leads to no push spec", len(first.records))
	}
	if diff := cmp.Diff(first.scanner.Invocation(), second.scanner.Invocation()); diff != "" {
		t.Error(diff)
	}
	second.send(completed("//app:push", "", "k8", true, group("default", "1")))
	if len(second.specs) != 1 || second.specs[0].File.Name != "push.pushspec.json" {
		t.Errorf("found %+v after the cut, want push.pushspec.json", second.specs)
	}
}
