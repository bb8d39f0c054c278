package hosts

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/pacer"
	"github.com/drayage/drayage/internal/store"
)

// switchboard is a store and a client of registries, which write down what they are told.
type switchboard struct {
	states   map[string]store.RegistryState
	waits    []store.RegistryWait
	statuses []registry.HostStatus
	told     []string
}

func (s *switchboard) tellf(format string, args ...any) {
	s.told = append(s.told, fmt.Sprintf(format, args...))
}

func (s *switchboard) RegistryStates(context.Context) (list []store.RegistryState, err error) {
	for _, state := range s.states {
		list = append(list, state)
	}
	return list, nil
}

func (s *switchboard) SetRegistryMode(_ context.Context, host string, mode store.RegistryMode, client string) error {
	state := s.states[host]
	state.Registry, state.Mode, state.Client = host, mode, client
	s.states[host] = state
	return nil
}

func (s *switchboard) LiftPauses(_ context.Context, host, client string) error {
	state := s.states[host]
	if state.Mode == "" {
		state = store.RegistryState{Registry: host, Mode: store.RegistryOpen, Client: client}
	}
	state.Lifted = time.Unix(state.Lifted.Unix()+1, 0)
	s.states[host] = state
	return nil
}

func (s *switchboard) RegistryWaits(context.Context) ([]store.RegistryWait, error) {
	return s.waits, nil
}

func (s *switchboard) WakeWaiting(_ context.Context, host string, which store.Waiters) (int, error) {
	s.tellf("wake %s %+v", host, which)
	return 0, nil
}

func (s *switchboard) WaitedFor(context.Context, store.Selection) (list []string, err error) {
	for _, wait := range s.waits {
		list = append(list, wait.Registry)
	}
	return list, nil
}

func (s *switchboard) Statuses() []registry.HostStatus { return s.statuses }

func (s *switchboard) Lift(host string) bool {
	s.tellf("lift %s", host)
	return true
}

func (s *switchboard) Block(host string, blocked bool) error {
	s.tellf("block %s %t", host, blocked)
	return nil
}

func newSwitchboard() (*switchboard, *Hosts) {
	s := &switchboard{states: map[string]store.RegistryState{}}
	return s, New(Options{States: s, Client: s, Configured: []string{"docker.io"}, Logger: zerolog.Nop()})
}

func (s *switchboard) wants(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.told); diff != "" {
		t.Errorf("what was told (-want +got):\n%s", diff)
	}
	s.told = nil
}

// mode says what an operator says.
func mode(t *testing.T, h *Hosts, host string, mode store.RegistryMode) {
	t.Helper()
	if err := h.SetMode(t.Context(), host, mode, "ada"); err != nil {
		t.Fatal(err)
	}
}

func enter(t *testing.T, h *Hosts) (context.Context, func()) {
	t.Helper()
	hauling, leave, err := h.Enter(t.Context(), "docker.io")
	if err != nil {
		t.Fatal(err)
	}
	return hauling, leave
}

func mustNotEnter(t *testing.T, h *Hosts) {
	t.Helper()
	_, _, err := h.Enter(t.Context(), "docker.io")
	if postponed, ok := errors.AsType[*store.PostponeError](err); !ok || postponed.Registry != "index.docker.io" {
		t.Errorf("a push to a closed registry: %v, want one that is postponed", err)
	}
}

func TestADrainedRegistryEndsWhatIsUnderWayAndBeginsNothing(t *testing.T) {
	s, h := newSwitchboard()
	hauling, leave := enter(t, h)
	defer leave()
	mode(t, h, "docker.io", store.RegistryDrained)
	mustNotEnter(t, h)
	if hauling.Err() != nil {
		t.Error("the push that was under way was ended")
	}
	s.wants(t)
	mode(t, h, "docker.io", store.RegistryOpen)
	_, again := enter(t, h)
	again()
}

func TestABlockedRegistryEndsItsHaulsWhichWait(t *testing.T) {
	s, h := newSwitchboard()
	hauling, leave := enter(t, h)
	mode(t, h, "docker.io", store.RegistryBlocked)
	mustNotEnter(t, h)
	s.wants(t, "block index.docker.io true")
	err := Closed(hauling, "index.docker.io", hauling.Err())
	if postponed, ok := errors.AsType[*store.PostponeError](err); !ok || postponed.Registry != "index.docker.io" {
		t.Errorf("a haul that was ended: %v, want one that is postponed", err)
	}
	if err := Closed(hauling, "index.docker.io", nil); err != nil {
		t.Errorf("a haul that was done before it was ended: %v", err)
	}
	leave()
	if len(h.hauls) != 0 {
		t.Error("a haul that is over is remembered")
	}
	mode(t, h, "docker.io", store.RegistryOpen)
	s.wants(t, "block index.docker.io false")
}

func TestAHaulThatReadsFromABlockedRegistryWaitsForThatOne(t *testing.T) {
	err := Closed(t.Context(), "ghcr.io", fmt.Errorf("read the base: %w", &registry.BlockedError{Registry: "quay.io"}))
	if postponed, ok := errors.AsType[*store.PostponeError](err); !ok || postponed.Registry != "quay.io" {
		t.Errorf("got %v", err)
	}
}

func TestWhatAnotherDaemonWasToldIsHeeded(t *testing.T) {
	s, h := newSwitchboard()
	s.states["ghcr.io"] = store.RegistryState{Registry: "ghcr.io", Mode: store.RegistryBlocked, Lifted: time.Unix(1, 0)}
	if err := h.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wants(t, "block ghcr.io true") // what was lifted before the start is no news
	s.states["ghcr.io"] = store.RegistryState{Registry: "ghcr.io", Mode: store.RegistryOpen, Lifted: time.Unix(2, 0)}
	for range 2 {
		if err := h.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.wants(t, "lift ghcr.io", "block ghcr.io false")
}

func TestJobsComeBackWhenTheirRegistryIsOpenAndOneAtATrial(t *testing.T) {
	s, h := newSwitchboard()
	pause := pacer.Status{Pause: pacer.Pause{Until: time.Unix(100, 0)}}
	trial := pause
	trial.TrialDue = true
	s.waits = []store.RegistryWait{
		{Registry: "open.test", Here: true, Jobs: 3}, {Registry: "open.test", Jobs: 3}, {Registry: "paused.test", Here: true, Jobs: 3},
		{Registry: "tried.test", Here: true, Jobs: 3}, {Registry: "drained.test", Here: true, Jobs: 3},
	}
	s.statuses = []registry.HostStatus{{Registry: "open.test"}, {Registry: "paused.test", Status: pause}, {Registry: "tried.test", Status: trial}}
	mode(t, h, "drained.test", store.RegistryDrained)
	for _, want := range [][]string{
		{"wake open.test {Here:true Most:0}", "wake open.test {Here:false Most:0}", "wake tried.test {Here:false Most:1}"},
		{"wake open.test {Here:true Most:0}", "wake tried.test {Here:false Most:1}"}, // what waits for another daemon's pause is that one's
	} {
		if err := h.wake(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.wants(t, want...)
	}
}

func TestALiftOfJobsLeavesClosedRegistriesClosed(t *testing.T) {
	s, h := newSwitchboard()
	s.waits = []store.RegistryWait{{Registry: "paused.test"}, {Registry: "drained.test"}}
	mode(t, h, "drained.test", store.RegistryDrained)
	closed, err := h.LiftFor(t.Context(), store.Selection{All: true}, "ada")
	if !cmp.Equal(closed, []string{"drained.test"}) || err != nil {
		t.Errorf("closed are %q, error %v", closed, err)
	}
	s.wants(t, "lift paused.test")
}

func TestEveryRegistryThatIsKnownIsListed(t *testing.T) {
	s, h := newSwitchboard()
	s.waits = []store.RegistryWait{{Registry: "waited.test", Here: true, Jobs: 3}, {Registry: "waited.test", Jobs: 4}}
	s.statuses = []registry.HostStatus{{Registry: "asked.test", Status: pacer.Status{UnderWay: 2}}}
	mode(t, h, "drained.test", store.RegistryDrained)
	_, leave := enter(t, h)
	defer leave()
	list, err := h.Statuses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, status := range list {
		got = append(got, fmt.Sprintf("%s %s: %d requests, %d pushes, %d wait", status.Registry, status.State.Mode, status.UnderWay, status.Pushes, status.Jobs))
	}
	want := []string{
		"asked.test open: 2 requests, 0 pushes, 0 wait", "drained.test drained: 0 requests, 0 pushes, 0 wait",
		"index.docker.io open: 0 requests, 1 pushes, 0 wait", "waited.test open: 0 requests, 0 pushes, 7 wait",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
