package bes_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/bes/bestest"
)

// setup is a relay between the recorded stream and one backend of either mode, with
// an observer that looks for push specs.
type setup struct {
	bazel                *bestest.Bazel
	required, bestEffort *bestest.Backend
	specs                *specStore
	relay                *relay
}

func newSetup(t *testing.T, required, bestEffort bestest.Script) *setup {
	t.Helper()
	s := &setup{
		bazel:      recorded(t),
		required:   startBackend(t, required),
		bestEffort: startBackend(t, bestEffort),
		specs:      &specStore{},
	}
	s.relay = startRelay(t, s.config())
	s.bazel.Target = s.relay.target
	s.bazel.RetryDelay = time.Millisecond
	return s
}

func (s *setup) config() bes.Config {
	return bes.Config{
		Observer:    s.specs,
		FinishGrace: 5 * time.Millisecond,
		Backends: []bes.Backend{
			{Name: "required", Address: s.required.Address, Mode: bes.Required},
			{Name: "best effort", Address: s.bestEffort.Address, RetryDelay: time.Millisecond},
		},
	}
}

// upload uploads the recorded stream, and expects all to be well in the end.
func (s *setup) upload(t *testing.T) {
	t.Helper()
	wantExit(t, s.bazel.Run(testContext(t)), bestest.ExitOK)
	wantStored(t, s.required, s.bazel)
	eventually(t, "the best-effort backend has everything", func() bool {
		return len(s.bestEffort.Stored(s.bazel.InvocationID)) == len(s.bazel.Requests)
	})
	wantStored(t, s.bestEffort, s.bazel)
}

// atEvery runs a test for every sequence number of the recorded stream.
func atEvery(t *testing.T, test func(t *testing.T, sequence int64)) {
	t.Helper()
	for n := range len(recorded(t).Requests) {
		t.Run(fmt.Sprint(n+1), func(t *testing.T) { test(t, int64(n+1)) })
	}
}

var errInjected = errors.New("injected")

// once returns an error the first time that it is asked about the sequence number.
func once(at int64, err error) func(int, int64) error {
	return func(call int, sequence int64) error {
		if call == 1 && sequence == at {
			return err
		}
		return nil
	}
}

func TestStreamCutBeforeAnyMessage(t *testing.T) {
	atEvery(t, func(t *testing.T, sequence int64) {
		s := newSetup(t, bestest.Script{}, bestest.Script{})
		s.bazel.BeforeSend = once(sequence, errInjected)
		s.upload(t)
		s.specs.want(t, true)
	})
}

func TestStreamCutAfterAnyAcknowledgement(t *testing.T) {
	atEvery(t, func(t *testing.T, sequence int64) {
		s := newSetup(t, bestest.Script{}, bestest.Script{})
		s.bazel.AfterAcknowledgement = once(sequence, errInjected)
		s.upload(t)
		s.specs.want(t, true)
		if n := s.bestEffort.Resent(s.bazel.InvocationID); n > 0 {
			t.Errorf("best-effort backend was sent %d messages again that it had acknowledged", n)
		}
	})
}

func TestBackendBreaksBeforeAnyMessage(t *testing.T) {
	broken := status.Error(codes.Unavailable, "injected")
	atEvery(t, func(t *testing.T, sequence int64) {
		s := newSetup(t, bestest.Script{OnMessage: once(sequence, broken)}, bestest.Script{OnMessage: once(sequence, broken)})
		s.upload(t)
		s.specs.want(t, true)
		for _, b := range []*bestest.Backend{s.required, s.bestEffort} {
			if n := b.Resent(s.bazel.InvocationID); n > 0 {
				t.Errorf("a backend was sent %d messages again that it had acknowledged", n)
			}
		}
	})
}

func TestBackendBreaksAfterAnyAcknowledgement(t *testing.T) {
	broken := status.Error(codes.ResourceExhausted, "injected")
	atEvery(t, func(t *testing.T, sequence int64) {
		if sequence == int64(len(recorded(t).Requests)) {
			return // a failure after the last acknowledgement is the build's: see below
		}
		s := newSetup(t, bestest.Script{AfterAcknowledgement: once(sequence, broken)},
			bestest.Script{AfterAcknowledgement: once(sequence, broken)})
		s.upload(t)
		s.specs.want(t, true)
	})
}

func TestBackendRefusesAnyMessageForGood(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	refused := status.Error(codes.InvalidArgument, "injected")
	atEvery(t, func(t *testing.T, sequence int64) {
		s := newSetup(t, bestest.Script{}, bestest.Script{OnMessage: once(sequence, refused)})
		wantExit(t, s.bazel.Run(testContext(t)), bestest.ExitOK)
		wantStored(t, s.required, s.bazel)
		s.specs.want(t, true)
		if n := int64(len(s.bestEffort.Stored(s.bazel.InvocationID))); n > sequence-1 {
			t.Errorf("best-effort backend that refused message %d has %d", sequence, n)
		}

		s = newSetup(t, bestest.Script{OnMessage: once(sequence, refused)}, bestest.Script{})
		outcome := s.bazel.Run(testContext(t))
		wantExit(t, outcome, bestest.ExitPermanent)
		if outcome.Streams != 1 || status.Convert(outcome.Err).Message() != "injected" {
			t.Errorf("Bazel sees %v after %d streams, want the backend's own status after 1", outcome.Err, outcome.Streams)
		}
	})
}

func TestRelayKilledAtAnyMessage(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	atEvery(t, func(t *testing.T, sequence int64) {
		s := newSetup(t, bestest.Script{}, bestest.Script{})
		s.bazel.RetryDelay = 20 * time.Millisecond // time for its connection to notice
		address := s.relay.target
		killed := false
		s.bazel.BeforeSend = func(_ int, n int64) error {
			if n != sequence || killed {
				return nil
			}
			killed = true
			s.relay.kill()
			s.relay = startRelayAt(t, address, s.config())
			return errInjected
		}
		wantExit(t, s.bazel.Run(testContext(t)), bestest.ExitOK)
		wantStored(t, s.required, s.bazel)
		s.specs.want(t, false)
	})
}

func TestBackendKilledAndRestartedAtAnyMessage(t *testing.T) {
	atEvery(t, func(t *testing.T, sequence int64) {
		s := newSetup(t, bestest.Script{}, bestest.Script{})
		restarted := false
		s.bazel.BeforeSend = func(_ int, n int64) error {
			if n == sequence && !restarted {
				restarted = true
				s.required = restart(t, s.required)
				s.bestEffort = restart(t, s.bestEffort)
			}
			return nil
		}
		s.upload(t)
		s.specs.want(t, true)
	})
}

// restart kills a backend and starts it again with what it had stored.
func restart(t *testing.T, old *bestest.Backend) *bestest.Backend {
	t.Helper()
	old.Stop()
	b, err := bestest.StartBackendAt(old.HostPort, bestest.Script{})
	if err != nil {
		t.Error(err)
		return old
	}
	t.Cleanup(b.Stop)
	b.Adopt(old)
	return b
}
