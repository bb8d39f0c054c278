package e2e_test

import (
	"bytes"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
)

// What Bazel sent is seen by a tap in front of the daemon, what the backend got
// by the backend itself.
func TestTheBackendGetsTheBytesThatBazelSent(t *testing.T) {
	t.Parallel()
	backend := rig.StartBESBackend(t, rig.AcknowledgeEach)
	s := newScene(t, rig.DaemonBackend{Name: "real", Address: backend.GRPC, Mode: "required"})
	tap := rig.StartBESTap(t, s.daemon.BES)

	result := s.workspace.Bazel(t, "build", append(s.flags(), "//...", "--bes_backend="+tap.GRPC)...)

	sent, got := tap.Messages(result.Invocation), backend.Messages(result.Invocation)
	if len(sent) == 0 || len(sent) != len(got) {
		t.Fatalf("Bazel sent %d messages, the backend got %d", len(sent), len(got))
	}
	for i := range sent {
		if sent[i].Sequence != got[i].Sequence || !bytes.Equal(sent[i].Event, got[i].Event) {
			t.Errorf("message %d is not what Bazel sent:\nsent %d %x\n got %d %x", i, sent[i].Sequence, sent[i].Event, got[i].Sequence, got[i].Event)
		}
	}
	if last := got[len(got)-1]; last.Event != nil {
		t.Error("the backend was not told that the stream is finished")
	}
	if sent, got := tap.Lifecycle(), backend.Lifecycle(); len(sent) == 0 || len(sent) != len(got) {
		t.Errorf("Bazel sent %d lifecycle events, the backend got %d", len(sent), len(got))
	} else {
		for i := range sent {
			if !bytes.Equal(sent[i], got[i]) {
				t.Errorf("lifecycle event %d is not what Bazel sent:\nsent %x\n got %x", i, sent[i], got[i])
			}
		}
	}
	s.daemon.WaitPushed(t, result.Invocation, pushLimit)
}
