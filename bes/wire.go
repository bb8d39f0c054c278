package bes

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
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

	eventTime     = 1
	eventFinished = 59
	eventBazel    = 60

	anyValue = 2

	responseStreamID = 1
	responseSequence = 2
)

// fields calls visit with each length-delimited or varint field of b.
func fields(b []byte, visit func(num protowire.Number, value []byte, varint uint64)) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var value []byte
		var varint uint64
		switch typ {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			varint, n = protowire.ConsumeVarint(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		visit(num, value, varint)
		b = b[n:]
	}
	return nil
}

// readMessage reads a request whose OrderedBuildEvent is in the given field.
func readMessage(b []byte, eventField protowire.Number) (message, error) {
	var m message
	var ordered []byte
	err := fields(b, func(num protowire.Number, value []byte, _ uint64) {
		switch num {
		case eventField:
			ordered = value
		case requestProject:
			m.projectID = value
		}
	})
	if err != nil {
		return message{}, fmt.Errorf("read request: %w", err)
	}
	err = fields(ordered, func(num protowire.Number, value []byte, varint uint64) {
		switch num {
		case orderedStreamID:
			m.streamID = value
		case orderedSequence:
			m.sequence = int64(varint)
		case orderedEvent:
			m.event = value
		}
	})
	if err != nil {
		return message{}, fmt.Errorf("read ordered build event: %w", err)
	}
	return m, nil
}

// id decodes which stream the message belongs to.
func (m *message) id() (StreamID, error) {
	id := StreamID{ProjectID: string(m.projectID)}
	err := fields(m.streamID, func(num protowire.Number, value []byte, varint uint64) {
		switch num {
		case streamBuild:
			id.BuildID = string(value)
		case streamInvocation:
			id.InvocationID = string(value)
		case streamComponent:
			id.Component = int32(varint)
		}
	})
	if err != nil {
		return StreamID{}, fmt.Errorf("read stream id: %w", err)
	}
	return id, nil
}

// observed decodes what an observer sees of the message.
func (m *message) observed() (Event, error) {
	e := Event{Sequence: m.sequence}
	var stamp, bazel []byte
	err := fields(m.event, func(num protowire.Number, value []byte, _ uint64) {
		switch num {
		case eventTime:
			stamp = value
		case eventFinished:
			e.Finished = true
		case eventBazel:
			bazel = value
		}
	})
	if err != nil {
		return Event{}, fmt.Errorf("read build event: %w", err)
	}
	if bazel != nil {
		// An event with neither type nor value is an event still.
		e.BazelEvent = []byte{}
		err = fields(bazel, func(num protowire.Number, value []byte, _ uint64) {
			if num == anyValue {
				e.BazelEvent = value
			}
		})
		if err != nil {
			return Event{}, fmt.Errorf("read Bazel event: %w", err)
		}
	}
	var seconds, nanos int64
	err = fields(stamp, func(num protowire.Number, _ []byte, varint uint64) {
		switch num {
		case 1:
			seconds = int64(varint)
		case 2:
			nanos = int64(int32(varint))
		}
	})
	if err != nil {
		return Event{}, fmt.Errorf("read event time: %w", err)
	}
	if stamp != nil {
		e.Time = time.Unix(seconds, nanos)
	}
	return e, nil
}

var errNoSequence = errors.New("it has no sequence number")

// readAcknowledgement returns the sequence number of a response.
func readAcknowledgement(b []byte) (int64, error) {
	var sequence int64
	err := fields(b, func(num protowire.Number, _ []byte, varint uint64) {
		if num == responseSequence {
			sequence = int64(varint)
		}
	})
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
