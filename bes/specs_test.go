package bes_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	buildv1 "google.golang.org/genproto/googleapis/devtools/build/v1"
	"google.golang.org/protobuf/proto"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/bes/bep"
	"github.com/drayage/drayage/bes/bestest"
)

// specStore is an observer that finds push specs and keeps them, and what the scanner
// wants remembered, as a database does: they outlive the relay.
type specStore struct {
	mu      sync.Mutex
	specs   map[string]int // by label: how often it was stored
	records [][]byte
	lost    int
}

func (s *specStore) Begin(context.Context, bes.Stream) bes.Observation {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &specObservation{store: s, scanner: bep.NewScanner(bep.Options{})}
	for _, record := range s.records {
		if err := o.scanner.Recall(record); err != nil {
			panic(err)
		}
	}
	return o
}

type specObservation struct {
	store   *specStore
	scanner *bep.Scanner
}

func (o *specObservation) Observe(e bes.Event) func(context.Context) error {
	found, err := o.scanner.Scan(e.BazelEvent)
	if err != nil || len(found.Specs)+len(found.Remember)+len(found.Lost) == 0 {
		return nil
	}
	return func(context.Context) error {
		s := o.store
		s.mu.Lock()
		defer s.mu.Unlock()
		s.records = append(s.records, found.Remember...)
		s.lost += len(found.Lost)
		for _, spec := range found.Specs {
			if s.specs == nil {
				s.specs = make(map[string]int)
			}
			s.specs[spec.Label]++
		}
		return nil
	}
}

func (o *specObservation) End(error) {}

// want fails unless the specs of the recorded stream were found. exactlyOnce is false
// where the relay was killed: between a job's commit and its acknowledgement it is
// found again, and the database knows it.
func (s *specStore) want(t *testing.T, exactlyOnce bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []string
	for label, n := range s.specs {
		got = append(got, label)
		if exactlyOnce && n != recordedTimes[label] {
			t.Errorf("push spec of %s was found %d times, want %d", label, n, recordedTimes[label])
		}
	}
	slices.Sort(got)
	var want []string
	for label := range recordedTimes {
		want = append(want, label)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) || s.lost > 0 {
		t.Errorf("push specs of %v were found and %d lost, want %v", got, s.lost, want)
	}
}

// recordedTimes says how many push specs each target of the recorded stream yields:
// one in the group of that name, and those of its dependencies by default.
var recordedTimes = map[string]int{
	"//lib:files":  1,
	"//app:push_a": 1,
	"//app:push_b": 3,
	"//app:push_c": 4,
	"//app:also_a": 1,
}

// recorded returns the requests of a real Bazel's stream and their ids.
func recorded(t *testing.T) *bestest.Bazel {
	t.Helper()
	requests, err := bestest.ReadRecording("testdata/build.bep")
	if err != nil {
		t.Fatal(err)
	}
	var first buildv1.PublishBuildToolEventStreamRequest
	if err := proto.Unmarshal(requests[0], &first); err != nil {
		t.Fatal(err)
	}
	id := first.GetOrderedBuildEvent().GetStreamId()
	return &bestest.Bazel{BuildID: id.GetBuildId(), InvocationID: id.GetInvocationId(), Requests: requests}
}
