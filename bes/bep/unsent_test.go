package bep_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/bes/bep"
	pb "github.com/drayage/drayage/proto/bep"
)

func progress(stderr string) *pb.BuildEvent {
	return &pb.BuildEvent{
		Id:      &pb.BuildEventId{Id: &pb.BuildEventId_Progress{Progress: &pb.BuildEventId_ProgressId{}}},
		Payload: &pb.BuildEvent_Progress{Progress: &pb.Progress{Stdout: "Remote Cache: UNIMPLEMENTED", Stderr: stderr}},
	}
}

func hashOf(n int) string { return fmt.Sprintf("%064x", n) }

// What Bazel 7.7.1 prints when the cache refuses what it is given.
func TestFailedUploadsAreFoundInWhatBazelPrints(t *testing.T) {
	for _, row := range []struct {
		name, output string
		want         bep.Unsent
	}{
		{"one file", "INFO: Analyzed target //app:push.\n\x1b[35mWARNING: \x1b[0mRemote Cache: Error while uploading artifact with digest '" + hashOf(1) + "/3002643'\n", bep.Unsent{
			Digests: []string{hashOf(1)},
		}},
		{"several files", "WARNING: Remote Cache: 2 errors during bulk transfer:\n" +
			"java.io.IOException: Error while uploading artifact with digest '" + hashOf(1) + "/335'\n" +
			"java.io.IOException: Error while uploading artifact with digest '" + hashOf(2) + "/454'\n", bep.Unsent{
			Digests: []string{hashOf(1), hashOf(2)},
		}},
		{"a file of the events", "WARNING: Uploading BEP referenced local file /out/bin/a file.tar.gz hash: \"" + hashOf(3) + "\"\nsize_bytes: 3002643\n" +
			": UNAUTHENTICATED: no authentication metadata found\n", bep.Unsent{
			Digests: []string{hashOf(3)}, Code: "UNAUTHENTICATED",
		}},
		{"an action's own text", "no file was uploaded: RESOURCE_EXHAUSTED, says Remote Cache\n", bep.Unsent{}},
		{"a digest that is none", "Error while uploading artifact with digest 'zz/1'\nError while uploading artifact with digest '", bep.Unsent{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newStream(t, bep.Options{})
			if found := s.send(progress(row.output)); found.Changed != (len(row.want.Digests) > 0) {
				t.Errorf("Changed is %v", found.Changed)
			}
			if diff := cmp.Diff(row.want, s.scanner.Invocation().Unsent); diff != "" {
				t.Error(diff)
			}
			if found := s.send(progress(row.output)); found.Changed {
				t.Error("the same again is a change")
			}
		})
	}
}

func TestFailedUploadsAreKeptWithinALimit(t *testing.T) {
	var output strings.Builder
	for n := range 10_000 {
		fmt.Fprintf(&output, "java.io.IOException: Error while uploading artifact with digest '%s/1'\n", hashOf(n))
	}
	s := newStream(t, bep.Options{})
	s.send(progress(output.String()))
	got := s.scanner.Invocation().Unsent
	if len(got.Digests) != 256 || !got.More {
		t.Errorf("%d digests are kept, more: %v", len(got.Digests), got.More)
	}
	if found := s.send(progress(output.String())); found.Changed {
		t.Error("what is not kept is a change each time")
	}
}
