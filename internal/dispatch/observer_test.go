package dispatch_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/internal/dispatch"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
	bepb "github.com/drayage/drayage/proto/bep"
)

func TestPushSpecInTheStreamBecomesAJob(t *testing.T) {
	q := &queue{}
	s := begin(t, q, 1)
	s.keep(namedSet("0", specFile("push", digest)))
	s.keep(completed("//app:push", "0"))
	s.finish()
	want := []store.Job{{
		Invocation: "invocation", Build: "build", Target: "//app:push", Client: "10.0.0.7",
		Spec: store.SpecRef{Instance: "main", Function: "sha256", Hash: digest, Size: 42, Host: "cache:9092"},
	}}
	if diff := cmp.Diff(want, q.jobs); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	if last := q.invocations[len(q.invocations)-1]; !last.Finished || last.ID != "invocation" || last.Build != "build" {
		t.Errorf("the invocation was saved as %+v", last)
	}
}

func TestABuildSaysHowSoonItsPushesAreToBeDone(t *testing.T) {
	for asked, want := range map[string]store.Priority{"urgent": store.PriorityUrgent, "idle": store.PriorityIdle, "at once": 0} {
		q := &queue{}
		s := begin(t, q, 1)
		s.keep(&bepb.BuildEvent{
			Id:      &bepb.BuildEventId{Id: &bepb.BuildEventId_BuildMetadata{BuildMetadata: &bepb.BuildEventId_BuildMetadataId{}}},
			Payload: &bepb.BuildEvent_BuildMetadata{BuildMetadata: &bepb.BuildMetadata{Metadata: map[string]string{"DRAYAGE_PRIORITY": asked}}},
		})
		s.keep(namedSet("0", specFile("push", digest)))
		s.keep(completed("//app:push", "0"))
		s.finish()
		if len(q.jobs) != 1 || q.jobs[0].Priority != want {
			t.Errorf("asked for %q, the jobs are %+v", asked, q.jobs)
		}
	}
}

// A job may be looked at before anything else of its build is stored.
func TestAJobSaysWhatItsBuildWantsTagsToWaitFor(t *testing.T) {
	for asked, want := range map[string]string{"": "(empty)", "green": "green", "approved": "approved", "no gate at all": "no gate at all"} {
		q := &queue{}
		s := begin(t, q, 1)
		s.keep(&bepb.BuildEvent{
			Id:      &bepb.BuildEventId{Id: &bepb.BuildEventId_BuildMetadata{BuildMetadata: &bepb.BuildEventId_BuildMetadataId{}}},
			Payload: &bepb.BuildEvent_BuildMetadata{BuildMetadata: &bepb.BuildMetadata{Metadata: map[string]string{"DRAYAGE_RELEASE": asked}}},
		})
		s.keep(namedSet("0", specFile("push", digest)))
		s.keep(completed("//app:push", "0"))
		s.finish()
		if len(q.jobs) != 1 || q.jobs[0].Gate != want {
			t.Errorf("asked for %q, the jobs are %+v", asked, q.jobs)
		}
	}
}

func TestAliasOfAPushAddsNoJob(t *testing.T) {
	q := &queue{}
	s := begin(t, q, 1)
	s.keep(namedSet("0", specFile("push", digest)))
	s.keep(completed("//app:push", "0"))
	s.keep(completed("//:alias_of_push", "0"))
	s.finish()
	if got := targets(q.jobs); !slices.Equal(got, []string{"//app:push"}) {
		t.Errorf("jobs are of %q", got)
	}
}

func TestStreamGoesOnAfterACrashWithWhatWasAcknowledged(t *testing.T) {
	q := &queue{}
	before := begin(t, q, 1)
	before.keep(namedSet("0", specFile("push", digest))) // acknowledged: Bazel never sends it again
	after := begin(t, q, 2)
	after.keep(completed("//app:push", "0"))
	if got := targets(q.jobs); !slices.Equal(got, []string{"//app:push"}) {
		t.Errorf("jobs are of %q", got)
	}
	before.observation.End(errors.New("killed"))
	after.finish()
}

func TestWhatCannotBeKeptIsNotAcknowledged(t *testing.T) {
	q := &queue{err: errors.New("disk full")}
	s := begin(t, q, 1)
	wait := s.send(completedInline("//app:push"))
	if wait == nil {
		t.Fatal("there is nothing to wait for")
	}
	if err := wait(t.Context()); status.Code(err) != codes.Unavailable {
		t.Errorf("error is %v, want UNAVAILABLE, so that Bazel sends it again", err)
	}
	s.observation.End(errors.New("ended"))

	synctest.Test(t, func(t *testing.T) {
		s := begin(t, q, 2) // the records cannot be read either
		if err := s.send(completedInline("//app:push"))(t.Context()); status.Code(err) != codes.Unavailable {
			t.Errorf("error is %v, want UNAVAILABLE", err)
		}
		s.observation.End(errors.New("ended"))
	})
}

func TestAStreamThatBeginsWaitsForAStoreThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		asked := 0
		away := awayQueue{queue: q, claim: func() error {
			if asked++; asked < 5 {
				return errors.New("the database system is starting up")
			}
			return nil
		}}
		s := begin(t, away, 1)
		if err := s.send(completedInline("//app:push"))(t.Context()); err != nil || len(q.jobs) != 1 {
			t.Errorf("%d jobs were kept after %d questions, error %v", len(q.jobs), asked, err)
		}
		s.observation.End(nil)
	})
}

// awayQueue is a queue in which nothing can be claimed for a while.
type awayQueue struct {
	*queue
	claim func() error
}

func (q awayQueue) Claim(ctx context.Context, id, owner, client string) error {
	if err := q.claim(); err != nil {
		return err
	}
	return q.queue.Claim(ctx, id, owner, client)
}

func TestBurstIsKeptInFewCommitsAndObserveDoesNotWait(t *testing.T) {
	q := &queue{entered: make(chan struct{}), release: make(chan struct{})}
	s := begin(t, q, 1)
	waits := []func(context.Context) error{s.send(completedInline("//:first"))}
	<-q.entered // the first commit is under way, and stuck
	for i := range 100 {
		waits = append(waits, s.send(completedInline("//:x"+string(rune('a'+i)))))
	}
	close(q.release)
	<-q.entered
	for _, wait := range waits {
		if err := wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.observation.End(nil)
	if len(q.jobs) != 101 || q.enqueues != 2 {
		t.Errorf("%d jobs in %d commits, want 101 in 2", len(q.jobs), q.enqueues)
	}
}

func TestMalformedEventIsPassedOver(t *testing.T) {
	q := &queue{}
	s := begin(t, q, 1)
	if wait := s.observation.Observe(bes.Event{Sequence: 1, BazelEvent: []byte{0xff, 0xff}}); wait != nil {
		t.Errorf("it is waited for: %v", wait(t.Context()))
	}
	s.sequence = 1
	s.keep(completedInline("//app:push"))
	s.finish()
	if len(q.jobs) != 1 {
		t.Errorf("there are %d jobs", len(q.jobs))
	}
}

func TestAPushTargetThatIsGivenUpIsMissedAloud(t *testing.T) {
	q := &queue{}
	s := begin(t, q, 1)
	s.keep(configured("//app:push", "image_push rule"))
	s.keep(&bepb.BuildEvent{
		Id:      &bepb.BuildEventId{Id: &bepb.BuildEventId_TargetCompleted{TargetCompleted: &bepb.BuildEventId_TargetCompletedId{Label: "//app:push"}}},
		Payload: &bepb.BuildEvent_Aborted{Aborted: &bepb.Aborted{Description: "its dependency failed"}},
	})
	s.finish()
	want := []store.Absent{
		{Target: "//app:push", State: ledger.ExpectedAwaited},
		{Target: "//app:push", State: ledger.ExpectedAborted, Reason: "its dependency failed"},
	}
	if diff := cmp.Diff(want, q.absent()); diff != "" {
		t.Errorf("absent (-want +got):\n%s", diff)
	}
}

func TestAPushTargetIsStillKnownAsOneAfterACrash(t *testing.T) {
	q := &queue{}
	before := begin(t, q, 1)
	before.keep(configured("//app:push", "image_push rule"))
	after := begin(t, q, 2)
	event := completed("//app:push", "0")
	event.GetCompleted().Success, event.GetCompleted().OutputGroup = false, nil
	after.keep(event)
	last := q.absent()[len(q.absent())-1]
	if last.State != ledger.ExpectedUnbuilt || last.IfPushed {
		t.Errorf("it is %+v, want a push target that was not built", last)
	}
	before.observation.End(errors.New("killed"))
	after.finish()
}

func TestAStreamIsHereUntilItsObservationEnds(t *testing.T) {
	q := &queue{}
	s := begin(t, q, 1)
	if q.streaming != 1 {
		t.Errorf("%d streams are here, want one", q.streaming)
	}
	s.finish()
	if q.streaming != 0 {
		t.Errorf("%d streams are here after the end", q.streaming)
	}
}

func TestAnInvocationTakesNothingFromAnotherClient(t *testing.T) {
	q := &queue{owner: new("token:ci")}
	refusals := dispatch.NewRefusals(zerolog.Nop())
	finish := func(client string, proved bool) error {
		observer := dispatch.NewObserver(dispatch.ObserverOptions{
			Queue: q, Refusals: refusals, Logger: zerolog.Nop(), Client: func(bes.Stream) (string, bool) { return client, proved },
		})
		o := observer.Begin(t.Context(), bes.Stream{StreamID: bes.StreamID{InvocationID: "invocation"}, FirstSequence: 1})
		defer o.End(nil)
		return o.Observe(bes.Event{Sequence: 1, Finished: true})(t.Context())
	}
	if err := finish("token:ci", true); err != nil {
		t.Errorf("its own client was refused: %v", err)
	}
	for client, proved := range map[string]bool{"token:other": true, "address:10.0.0.7": false, "token:ci": false} {
		if err := finish(client, proved); status.Code(err) != codes.FailedPrecondition {
			t.Errorf("%s was answered %v", client, err)
		}
	}
	if len(q.invocations) != 1 {
		t.Errorf("%d saves of the invocation, want that of its own client", len(q.invocations))
	}
	if n := refused(t, refusals, "owner"); n != 3 {
		t.Errorf("%v refusals are counted, want 3", n)
	}
}

// refused is how many refusals are counted for a reason.
func refused(t *testing.T, refusals *dispatch.Refusals, reason string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(refusals.Count)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if metric.GetLabel()[0].GetValue() == reason {
				sum += metric.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestNothingIsKeptOfAClientThatMayPushNothing(t *testing.T) {
	for _, held := range []bool{false, true} {
		q := &queue{}
		refusals := dispatch.NewRefusals(zerolog.Nop())
		observer := dispatch.NewObserver(dispatch.ObserverOptions{
			Queue: q, Refusals: refusals, Logger: zerolog.Nop(), MayPush: func(client string) bool { return client != "10.0.0.7" },
			Hold: dispatch.Hold{Always: held},
		})
		s := &stream{t: t, observation: observer.Begin(t.Context(), bes.Stream{
			StreamID: bes.StreamID{InvocationID: "invocation"}, Peer: "10.0.0.7:4711", FirstSequence: 1,
		})}
		s.keep(namedSet("0", specFile("push", digest)))
		s.keep(completed("//app:push", "0"))
		wait := s.observation.Observe(bes.Event{Sequence: 3, Finished: true})
		s.observation.End(nil)
		if held {
			want := "drayage: 1 image is not pushed: no rule of the daemon's policy is for 10.0.0.7"
			if wait == nil || status.Convert(errors.Unwrap(wait(t.Context()))).Message() != want {
				t.Errorf("a held build does not fail with %q", want)
			}
		} else if wait != nil {
			t.Errorf("the build waits, for %v", wait(t.Context()))
		}
		if len(q.jobs)+len(q.invocations)+len(q.records)+q.claims+q.streaming > 0 {
			t.Errorf("something of it is kept: %+v", q)
		}
		if n := refused(t, refusals, "no_rule"); n != 1 {
			t.Errorf("%v refusals are counted, want one a stream", n)
		}
	}
}

func TestABuildWhoseClientIsOverItsQuotaGoesOnAndMissesItsPushes(t *testing.T) {
	q := &queue{quota: &store.QuotaError{Client: "10.0.0.7", Limit: "client_rows"}}
	refusals := dispatch.NewRefusals(zerolog.Nop())
	s := beginWith(t, dispatch.ObserverOptions{Queue: q, Refusals: refusals, Logger: zerolog.Nop()}, 1)
	for _, target := range []string{"//:a", "//:b", "//:c"} {
		s.keep(completedInline(target))
	}
	s.finish()
	if absent := q.absent(); len(absent) != 1 || absent[0].Target != "//:a" || absent[0].State != ledger.ExpectedLost {
		t.Errorf("what is missing is %+v, want one row of a push spec that is lost", absent)
	}
	if n := refused(t, refusals, "client_rows"); n != 3 || !q.invocations[len(q.invocations)-1].Finished {
		t.Errorf("%v refusals are counted, want 3; the invocations are %+v", n, q.invocations)
	}
}

func TestNothingIsKeptOfAStreamOverItsClientsQuota(t *testing.T) {
	q := &queue{claimErr: &store.QuotaError{Client: "10.0.0.7", Limit: "client_rows"}}
	s := beginWith(t, dispatch.ObserverOptions{Queue: q, Logger: zerolog.Nop(), Hold: dispatch.Hold{Always: true}}, 1)
	s.keep(completedInline("//:a"))
	verdict, failed := errors.AsType[*bes.Verdict](s.observation.Observe(bes.Event{Sequence: 2, Finished: true})(t.Context()))
	s.observation.End(nil)
	if !failed || status.Code(verdict.Err) != codes.FailedPrecondition || len(q.jobs)+len(q.invocations) > 0 {
		t.Errorf("the held build ends with %v, and %d jobs are kept", verdict, len(q.jobs))
	}
}
