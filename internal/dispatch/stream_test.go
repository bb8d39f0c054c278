package dispatch_test

import (
	"context"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"google.golang.org/protobuf/proto"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/internal/dispatch"
	"github.com/drayage/drayage/internal/store"
	bepb "github.com/drayage/drayage/proto/bep"
)

// queue keeps in memory what a store would keep on disk.
type queue struct {
	mu          sync.Mutex
	jobs        []store.Job
	invocations []store.Invocation
	records     [][]byte
	enqueues    int
	streaming   int
	claims      int
	// owner is whose the invocation is. Nil: its first client's.
	owner *string
	// quota is against every job, claimErr against the invocation.
	quota    *store.QuotaError
	claimErr error
	err      error
	// entered and release, if set, make Enqueue say that it was entered and wait.
	entered, release chan struct{}
}

func (q *queue) Enqueue(_ context.Context, jobs []store.Job) error {
	if q.entered != nil {
		q.entered <- struct{}{}
		<-q.release
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.enqueues++
	if q.quota != nil {
		return q.quota
	}
	q.jobs = append(q.jobs, jobs...)
	return q.err
}

func (q *queue) SaveInvocation(_ context.Context, i store.Invocation) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.invocations = append(q.invocations, i)
	return q.err
}

func (q *queue) Claim(_ context.Context, id, owner, _ string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.claims++
	if q.claimErr != nil {
		return q.claimErr
	}
	if q.owner != nil && *q.owner != owner {
		return &store.OwnerError{Invocation: id, Owner: *q.owner}
	}
	return q.err
}

func (q *queue) Remember(_ context.Context, _, _ string, records [][]byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.records = append(q.records, records...)
	return q.err
}

func (q *queue) Remembered(context.Context, string) ([][]byte, error) { return q.records, q.err }

func (q *queue) Streaming(string) func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.streaming++
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.streaming--
	}
}

// absent is what was saved of push specs that are not there.
func (q *queue) absent() []store.Absent {
	var list []store.Absent
	for _, i := range q.invocations {
		list = append(list, i.Absent...)
	}
	return list
}

func targets(jobs []store.Job) []string {
	var names []string
	for _, j := range jobs {
		names = append(names, j.Target)
	}
	return names
}

// stream feeds an observation with the events of one invocation.
type stream struct {
	t           *testing.T
	observation bes.Observation
	sequence    int64
}

func begin(t *testing.T, q dispatch.Queue, first int64) *stream {
	t.Helper()
	return beginWith(t, dispatch.ObserverOptions{Queue: q, Logger: zerolog.Nop()}, first)
}

func beginWith(t *testing.T, options dispatch.ObserverOptions, first int64) *stream {
	t.Helper()
	return &stream{t: t, sequence: first - 1, observation: dispatch.NewObserver(options).Begin(t.Context(), bes.Stream{
		StreamID:      bes.StreamID{BuildID: "build", InvocationID: "invocation"},
		Peer:          "10.0.0.7:4711",
		FirstSequence: first,
	})}
}

func (s *stream) send(event *bepb.BuildEvent) func(context.Context) error {
	s.t.Helper()
	data, err := proto.Marshal(event)
	if err != nil {
		s.t.Fatal(err)
	}
	s.sequence++
	return s.observation.Observe(bes.Event{Sequence: s.sequence, BazelEvent: data})
}

// keep sends an event and waits until it is durable.
func (s *stream) keep(event *bepb.BuildEvent) {
	s.t.Helper()
	if wait := s.send(event); wait != nil {
		if err := wait(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *stream) finish() {
	s.t.Helper()
	s.sequence++
	if err := s.observation.Observe(bes.Event{Sequence: s.sequence, Finished: true})(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.observation.End(nil)
}

const digest = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func namedSet(id string, file *bepb.File) *bepb.BuildEvent {
	return &bepb.BuildEvent{
		Id:      &bepb.BuildEventId{Id: &bepb.BuildEventId_NamedSet{NamedSet: &bepb.BuildEventId_NamedSetOfFilesId{Id: id}}},
		Payload: &bepb.BuildEvent_NamedSetOfFiles{NamedSetOfFiles: &bepb.NamedSetOfFiles{Files: []*bepb.File{file}}},
	}
}

func specFile(name, hex string) *bepb.File {
	return &bepb.File{
		Name: name + ".pushspec.json", Digest: hex, Length: 42,
		File: &bepb.File_Uri{Uri: "bytestream://cache:9092/main/blobs/" + hex + "/42"},
	}
}

func configured(label, kind string) *bepb.BuildEvent {
	return &bepb.BuildEvent{
		Id:      &bepb.BuildEventId{Id: &bepb.BuildEventId_TargetConfigured{TargetConfigured: &bepb.BuildEventId_TargetConfiguredId{Label: label}}},
		Payload: &bepb.BuildEvent_Configured{Configured: &bepb.TargetConfigured{TargetKind: kind}},
	}
}

func completed(label, set string) *bepb.BuildEvent {
	return &bepb.BuildEvent{
		Id: &bepb.BuildEventId{Id: &bepb.BuildEventId_TargetCompleted{TargetCompleted: &bepb.BuildEventId_TargetCompletedId{Label: label}}},
		Payload: &bepb.BuildEvent_Completed{Completed: &bepb.TargetComplete{
			Success:     true,
			OutputGroup: []*bepb.OutputGroup{{Name: "default", FileSets: []*bepb.BuildEventId_NamedSetOfFilesId{{Id: set}}}},
		}},
	}
}

func completedInline(label string) *bepb.BuildEvent {
	event := completed(label, "none")
	event.GetCompleted().OutputGroup = []*bepb.OutputGroup{{
		Name:        "push_spec",
		InlineFiles: []*bepb.File{{Name: label + ".pushspec.json", File: &bepb.File_Contents{Contents: []byte(label)}}},
	}}
	return event
}
