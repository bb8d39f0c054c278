package bes

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/drayage/drayage/bes/wire"
)

// message is what the relay reads of a PublishBuildToolEventStreamRequest or a
// PublishLifecycleEventRequest. Its slices lie in the request's bytes.
type message struct {
	streamID  []byte // encoded StreamId
	projectID []byte
	sequence  int64
	event     []byte // encoded google.devtools.build.v1.BuildEvent
}

// Field numbers of google.devtools.build.v1.
const (
	streamRequestEvent    = 4 // PublishBuildToolEventStreamRequest.ordered_build_event
	lifecycleRequestEvent = 2 // PublishLifecycleEventRequest.build_event
	requestProject        = 6 // project_id, in both

	orderedStreamID = 1
	orderedSequence = 2
	orderedEvent    = 3

	streamBuild      = 1
	streamComponent  = 3
	streamInvocation = 6

	eventFinished = 59
	eventBazel    = 60

	anyValue = 2

	responseStreamID = 1
	responseSequence = 2
)

// readMessage reads a request whose OrderedBuildEvent is in the given field.
func readMessage(b []byte, eventField protowire.Number) (message, error) {
	var m message
	var ordered []byte
	request := wire.Walk(b)
	for request.Next() {
		switch request.Num {
		case eventField:
			ordered = request.Bytes
		case requestProject:
			m.projectID = request.Bytes
		}
	}
	if request.Err != nil {
		return message{}, fmt.Errorf("read request: %w", request.Err)
	}
	event := wire.Walk(ordered)
	for event.Next() {
		if event.VarintNum == orderedSequence {
			m.sequence = int64(event.Varint)
		}
		switch event.Num {
		case orderedStreamID:
			m.streamID = event.Bytes
		case orderedEvent:
			m.event = event.Bytes
		}
	}
	if event.Err != nil {
		return message{}, fmt.Errorf("read ordered build event: %w", event.Err)
	}
	return m, nil
}

// maxID bounds each part of a stream's id, in bytes. Bazel's are UUIDs, and the name of a
// project.
const maxID = 256

// id decodes which stream the message belongs to.
func (m *message) id() (StreamID, error) {
	id := StreamID{ProjectID: string(m.projectID)}
	f := wire.Walk(m.streamID)
	for f.Next() {
		if f.VarintNum == streamComponent {
			id.Component = int32(f.Varint)
		}
		switch f.Num {
		case streamBuild:
			id.BuildID = string(f.Bytes)
		case streamInvocation:
			id.InvocationID = string(f.Bytes)
		}
	}
	if f.Err != nil {
		return StreamID{}, fmt.Errorf("read stream id: %w", f.Err)
	}
	if longest := max(len(id.ProjectID), len(id.BuildID), len(id.InvocationID)); longest > maxID {
		return StreamID{}, fmt.Errorf("read stream id: a part of it has %d bytes; the limit is %d", longest, maxID)
	}
	return id, nil
}

// observed decodes what an observer sees of the message.
func (m *message) observed() (Event, error) {
	e := Event{Sequence: m.sequence}
	var bazel []byte
	f := wire.Walk(m.event)
	for f.Next() {
		switch f.Num {
		case eventFinished:
			e.Finished = true
		case eventBazel:
			bazel = f.Bytes
		}
	}
	if f.Err != nil {
		return Event{}, fmt.Errorf("read build event: %w", f.Err)
	}
	if bazel != nil {
		value, err := wire.Sub(bazel, anyValue)
		if err != nil {
			return Event{}, fmt.Errorf("read Bazel event: %w", err)
		}
		if value == nil {
			// An event with neither type nor value is an event still.
			value = []byte{}
		}
		e.BazelEvent = value
	}
	return e, nil
}

var errNoSequence = errors.New("it has no sequence number")

// readAcknowledgement returns the sequence number of a response.
func readAcknowledgement(b []byte) (int64, error) {
	var sequence int64
	f := wire.Walk(b)
	for f.Next() {
		if f.VarintNum == responseSequence {
			sequence = int64(f.Varint)
		}
	}
	err := f.Err
	if err == nil && sequence <= 0 {
		err = errNoSequence
	}
	if err != nil {
		return 0, fmt.Errorf("read acknowledgement: %w", err)
	}
	return sequence, nil
}

// sameStream says whether two encoded stream ids are the same.
func sameStream(a, b []byte) bool { return bytes.Equal(a, b) }
