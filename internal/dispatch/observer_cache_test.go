package dispatch_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/store"
	bepb "github.com/drayage/drayage/proto/bep"
)

// What explains a layer that is missing is kept with the invocation and with the job.
func TestWhatABuildTellsOfItsCachesIsKept(t *testing.T) {
	q := &queue{}
	s := begin(t, q, 1)
	s.keep(&bepb.BuildEvent{Payload: &bepb.BuildEvent_OptionsParsed{OptionsParsed: &bepb.OptionsParsed{
		CmdLine: []string{"--remote_cache=grpc://me:secret@cache:9092", "--disk_cache=/home/me/cache", "--bes_header=key=secret"},
	}}})
	unsent := strings.Repeat("b", 64)
	s.keep(&bepb.BuildEvent{Payload: &bepb.BuildEvent_Progress{Progress: &bepb.Progress{
		Stderr: "WARNING: Remote Cache: Error while uploading artifact with digest '" + unsent + "/7'\n",
	}}})
	local := specFile("push", digest)
	local.File = &bepb.File_Uri{Uri: "file:///home/me/out/push.pushspec.json"}
	s.keep(namedSet("0", local))
	event := completed("//app:push", "0")
	event.GetCompleted().Tag = []string{"manual", "no-remote"}
	s.keep(event)
	s.finish()

	if len(q.jobs) != 1 || q.jobs[0].Uncached != "no-remote" {
		t.Fatalf("the jobs are %+v", q.jobs)
	}
	if diff := cmp.Diff(store.SpecRef{Function: "sha256", Hash: digest, Size: 42, Local: true}, q.jobs[0].Spec); diff != "" {
		t.Error(diff)
	}
	last := q.invocations[len(q.invocations)-1]
	if diff := cmp.Diff(map[string]string{"remote_cache": "grpc", "disk_cache": "set"}, last.Flags); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(store.Unsent{Digests: []string{unsent}}, last.Unsent); diff != "" {
		t.Error(diff)
	}
}
