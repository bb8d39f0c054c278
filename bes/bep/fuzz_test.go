package bep_test

import (
	"testing"

	buildv1 "google.golang.org/genproto/googleapis/devtools/build/v1"
	"google.golang.org/protobuf/proto"

	"github.com/drayage/drayage/bes/bep"
	"github.com/drayage/drayage/bes/bestest"
	pb "github.com/drayage/drayage/proto/bep"
)

// FuzzScan feeds a scanner two events of anybody's making: it must neither panic nor
// keep more than it may, and what it wants remembered it must be able to recall.
func FuzzScan(f *testing.F) {
	requests, err := bestest.ReadRecording("../testdata/build.bep")
	if err != nil {
		f.Fatal(err)
	}
	var last []byte
	for _, request := range requests {
		var m buildv1.PublishBuildToolEventStreamRequest
		if err := proto.Unmarshal(request, &m); err != nil {
			f.Fatal(err)
		}
		event := m.GetOrderedBuildEvent().GetEvent().GetBazelEvent().GetValue()
		f.Add(last, event)
		last = event
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		scanner := bep.NewScanner(bep.Options{MaxBytes: 4096, WindowBytes: 4096})
		recalling := bep.NewScanner(bep.Options{})
		remembered := 0
		for _, event := range [][]byte{first, second, second} {
			found, err := scanner.Scan(event)
			if err != nil {
				continue
			}
			for _, record := range found.Remember {
				remembered += len(record)
				if err := recalling.Recall(record); err != nil {
					t.Fatalf("Recall(%x): %v", record, err)
				}
			}
			for _, spec := range found.Specs {
				if spec.File.URI == "" && spec.File.Contents == nil {
					t.Errorf("push spec %+v has no bytes", spec)
				}
				if len(spec.Label) > 3*4096 || len(spec.File.Name) > 3*4096 {
					t.Errorf("push spec %+v has a long text", spec)
				}
			}
		}
		if remembered > 4096 {
			t.Errorf("%d bytes are remembered", remembered)
		}
	})
}

// TestScannerAgreesWithTheSchema reads the recorded stream both by hand and with the
// generated code.
func TestScannerAgreesWithTheSchema(t *testing.T) {
	requests, err := bestest.ReadRecording("../testdata/build.bep")
	if err != nil {
		t.Fatal(err)
	}
	scanner := bep.NewScanner(bep.Options{})
	var want bep.Invocation
	specs := 0
	for _, request := range requests {
		var m buildv1.PublishBuildToolEventStreamRequest
		if err := proto.Unmarshal(request, &m); err != nil {
			t.Fatal(err)
		}
		value := m.GetOrderedBuildEvent().GetEvent().GetBazelEvent().GetValue()
		var event pb.BuildEvent
		if err := proto.Unmarshal(value, &event); err != nil {
			t.Fatal(err)
		}
		if started := event.GetStarted(); started != nil {
			want.ID, want.Command, want.ToolVersion = started.GetUuid(), started.GetCommand(), started.GetBuildToolVersion()
		}
		if code := event.GetFinished().GetExitCode(); code != nil {
			want.ExitName, want.ExitCode = code.GetName(), int(code.GetCode())
		}
		for _, group := range event.GetCompleted().GetOutputGroup() {
			if group.GetName() == bep.DefaultOutputGroup {
				specs++
			}
		}
		found, err := scanner.Scan(value)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range found.Specs {
			if spec.OutputGroup == bep.DefaultOutputGroup {
				specs--
			}
		}
	}
	if specs != 0 {
		t.Errorf("%d push spec groups and the push specs found in them do not match", specs)
	}
	got := scanner.Invocation()
	if got.ID != want.ID || got.Command != want.Command || got.ToolVersion != want.ToolVersion ||
		got.ExitName != want.ExitName || got.ExitCode != want.ExitCode || got.ID == "" || got.ExitName == "" {
		t.Errorf("scanner read %+v, the schema %+v", got, want)
	}
}
