package bes

import (
	"testing"

	buildv1 "google.golang.org/genproto/googleapis/devtools/build/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// FuzzRequest: what the relay reads of a request is what the schema says of it.
func FuzzRequest(f *testing.F) {
	add := func(request *buildv1.PublishBuildToolEventStreamRequest) {
		b, err := proto.Marshal(request)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	id := &buildv1.StreamId{BuildId: "build", InvocationId: "invocation", Component: buildv1.StreamId_TOOL}
	add(&buildv1.PublishBuildToolEventStreamRequest{ProjectId: "project", OrderedBuildEvent: &buildv1.OrderedBuildEvent{
		StreamId: id, SequenceNumber: 1, Event: &buildv1.BuildEvent{Event: &buildv1.BuildEvent_BazelEvent{BazelEvent: &anypb.Any{TypeUrl: "type", Value: []byte("value")}}},
	}})
	add(&buildv1.PublishBuildToolEventStreamRequest{OrderedBuildEvent: &buildv1.OrderedBuildEvent{
		StreamId: id, SequenceNumber: 2, Event: &buildv1.BuildEvent{Event: &buildv1.BuildEvent_ComponentStreamFinished{}},
	}})
	f.Add([]byte{0x22, 0x00, 0x20, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		read(b)
		var request buildv1.PublishBuildToolEventStreamRequest
		if proto.Unmarshal(b, &request) != nil {
			return
		}
		// A message that is given twice is merged, as no writer needs it: once is enough.
		canonical, err := proto.Marshal(&request)
		if err != nil {
			t.Fatal(err)
		}
		m, id, event, err := read(canonical)
		if err != nil {
			return // an id that is too long
		}
		want := request.GetOrderedBuildEvent()
		if m.sequence != want.GetSequenceNumber() || id.BuildID != want.GetStreamId().GetBuildId() || id.InvocationID != want.GetStreamId().GetInvocationId() ||
			id.Component != int32(want.GetStreamId().GetComponent()) || id.ProjectID != request.GetProjectId() {
			t.Errorf("%x is read as %d of %+v, want %v", canonical, m.sequence, id, &request)
		}
		if got, want := string(event.BazelEvent), string(want.GetEvent().GetBazelEvent().GetValue()); got != want {
			t.Errorf("the event is %x, want %x", got, want)
		}
	})
}

// read does all that the relay does with a request.
func read(b []byte) (m message, id StreamID, event Event, err error) {
	if m, err = readMessage(b, streamRequestEvent); err != nil {
		return m, id, event, err
	}
	if id, err = m.id(); err != nil {
		return m, id, event, err
	}
	event, err = m.observed()
	return m, id, event, err
}

func FuzzAcknowledgement(f *testing.F) {
	b, err := proto.Marshal(&buildv1.PublishBuildToolEventStreamResponse{StreamId: &buildv1.StreamId{BuildId: "b"}, SequenceNumber: 7})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		sequence, err := readAcknowledgement(b)
		if (err == nil) != (sequence > 0) {
			t.Errorf("%x acknowledges %d, %v", b, sequence, err)
		}
		var response buildv1.PublishBuildToolEventStreamResponse
		if proto.Unmarshal(b, &response) == nil && err == nil && response.GetSequenceNumber() != sequence {
			t.Errorf("%x acknowledges %d, want %d", b, sequence, response.GetSequenceNumber())
		}
	})
}
