package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"
	buildv1 "google.golang.org/genproto/googleapis/devtools/build/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/drayage/drayage/bes/bestest"
	pb "github.com/drayage/drayage/proto/bep"
)

const streamMethod = "/google.devtools.build.v1.PublishBuildEvent/PublishBuildToolEventStream"

// underWay is how many messages a saturated stream has under way. Bazel has no bound;
// without one a latency would say how long the test ran.
const underWay = 1024

// events are what builds are made of, in the proportion in which they come; some 300
// bytes each.
func events() [][]byte {
	set := func(n int) *pb.BuildEventId_NamedSetOfFilesId {
		return &pb.BuildEventId_NamedSetOfFilesId{Id: fmt.Sprint(n)}
	}
	hash := "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	target := &pb.BuildEventId_TargetCompletedId{
		Label: "//services/checkout/server:server_test", Configuration: &pb.BuildEventId_ConfigurationId{Id: hash},
	}
	all := []*pb.BuildEvent{
		{
			Id:      &pb.BuildEventId{Id: &pb.BuildEventId_Progress{Progress: &pb.BuildEventId_ProgressId{OpaqueCount: 7}}},
			Payload: &pb.BuildEvent_Progress{Progress: &pb.Progress{Stderr: "\x1b[32mINFO: \x1b[0mFrom Linking services/checkout/server/server_test:"}},
		},
		{
			Id: &pb.BuildEventId{Id: &pb.BuildEventId_TargetConfigured{
				TargetConfigured: &pb.BuildEventId_TargetConfiguredId{Label: target.GetLabel()},
			}},
			Payload: &pb.BuildEvent_Configured{Configured: &pb.TargetConfigured{TargetKind: "go_test rule"}},
		},
		{
			Id: &pb.BuildEventId{Id: &pb.BuildEventId_NamedSet{NamedSet: set(12)}},
			Payload: &pb.BuildEvent_NamedSetOfFiles{NamedSetOfFiles: &pb.NamedSetOfFiles{Files: []*pb.File{{
				Name: "services/checkout/server/server_test", Digest: hash, Length: 1 << 20,
				File:       &pb.File_Uri{Uri: "bytestream://cache.example.com/main/blobs/" + hash + "/1048576"},
				PathPrefix: []string{"bazel-out", "k8-fastbuild", "bin"},
			}}}},
		},
		{
			Id: &pb.BuildEventId{Id: &pb.BuildEventId_TargetCompleted{TargetCompleted: target}},
			Payload: &pb.BuildEvent_Completed{Completed: &pb.TargetComplete{
				Success:     true,
				OutputGroup: []*pb.OutputGroup{{Name: "default", FileSets: []*pb.BuildEventId_NamedSetOfFilesId{set(12)}}},
			}},
		},
	}
	var encoded [][]byte
	for _, event := range all {
		b, err := proto.Marshal(event)
		if err != nil {
			panic(err) // none of it is anything but what is written here
		}
		encoded = append(encoded, b)
	}
	return encoded
}

// stream is one client stream.
type stream struct {
	grpc.ClientStream
	prefixes, suffixes [][]byte // of the requests, around the sequence number
	sentAt             []time.Time
	mu                 sync.Mutex
	latencies          []time.Duration
	room               chan struct{}
	acknowledged       chan struct{}
}

// templates cuts requests in two where the sequence number goes, so that a client
// that encodes does not slow what is measured.
func (s *stream) templates() {
	for _, request := range bestest.Requests(uuid.NewString(), uuid.NewString(), events()) {
		var m buildv1.PublishBuildToolEventStreamRequest
		if err := proto.Unmarshal(request, &m); err != nil {
			panic(err) // made above
		}
		event := m.GetOrderedBuildEvent()
		id, err := proto.Marshal(event.GetStreamId())
		if err != nil {
			panic(err)
		}
		body, err := proto.Marshal(event.GetEvent())
		if err != nil {
			panic(err)
		}
		prefix := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), id)
		suffix := protowire.AppendBytes(protowire.AppendTag(nil, 3, protowire.BytesType), body)
		s.prefixes, s.suffixes = append(s.prefixes, prefix), append(s.suffixes, suffix)
	}
}

// request makes the message with the given sequence number. The last template is the
// end of the stream.
func (s *stream) request(sequence int64, last bool) *frame {
	n := int(sequence) % (len(s.prefixes) - 1)
	if last {
		n = len(s.prefixes) - 1
	}
	size := len(s.prefixes[n]) + len(s.suffixes[n])
	number := protowire.AppendVarint(protowire.AppendTag(make([]byte, 0, 12), 2, protowire.VarintType), uint64(sequence))
	b := make([]byte, 0, size+len(number)+8)
	b = protowire.AppendVarint(protowire.AppendTag(b, 4, protowire.BytesType), uint64(size+len(number)))
	b = append(append(append(b, s.prefixes[n]...), number...), s.suffixes[n]...)
	return &frame{mem.BufferSlice{mem.SliceBuffer(b)}}
}

// drive loads an address and returns every message's latency. As Bazels do, each
// stream comes over a connection of its own.
func drive(ctx context.Context, address string, l load, duration time.Duration) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, duration+30*time.Second)
	defer cancel()
	streams := make([]*stream, l.streams)
	for n := range streams {
		s, closing, err := openStream(ctx, address)
		if err != nil {
			return nil, err
		}
		defer closing()
		streams[n] = s
	}
	errs := make(chan error, 2*l.streams)
	until := time.Now().Add(duration)
	for n, s := range streams {
		go func() { errs <- s.receive() }()
		go func() { errs <- s.send(until, l, n) }()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	var all []time.Duration
	for _, s := range streams {
		all = append(all, s.latencies...)
	}
	return all, nil
}

func openStream(ctx context.Context, address string) (*stream, func(), error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStaticStreamWindowSize(window), grpc.WithStaticConnWindowSize(window),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(newCodec())))
	if err != nil {
		return nil, nil, fmt.Errorf("dial: %w", err)
	}
	closing := func() { _ = conn.Close() }
	client, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, streamMethod)
	if err != nil {
		closing()
		return nil, nil, fmt.Errorf("open stream: %w", err)
	}
	s := &stream{ClientStream: client, room: make(chan struct{}, underWay), acknowledged: make(chan struct{}, 1)}
	s.templates()
	return s, closing, nil
}

func (s *stream) post(sequence int64, last bool) error {
	s.mu.Lock()
	s.sentAt = append(s.sentAt, time.Now())
	s.mu.Unlock()
	if err := s.SendMsg(s.request(sequence, last)); err != nil {
		return fmt.Errorf("send message %d: %w", sequence, err)
	}
	return nil
}

// send sends until the time is up, and then the end of the stream.
func (s *stream) send(until time.Time, l load, n int) error {
	sequence := int64(1)
	if l.rate == 0 {
		for ; time.Now().Before(until); sequence++ {
			s.room <- struct{}{}
			if err := s.post(sequence, false); err != nil {
				return err
			}
		}
	} else {
		// What Bazel says of one target comes together. The streams' turns are spread
		// over the tick, so that they do not all come at once.
		perSecond := float64(l.rate) / float64(l.streams)
		target := float64(len(s.prefixes) - 1)
		tick := max(time.Millisecond, time.Duration(target/perSecond*float64(time.Second)))
		time.Sleep(tick * time.Duration(n) / time.Duration(l.streams))
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for started := time.Now(); time.Now().Before(until); <-ticker.C {
			for due := int64(time.Since(started).Seconds() * perSecond); sequence <= due; sequence++ {
				s.room <- struct{}{}
				if err := s.post(sequence, false); err != nil {
					return err
				}
			}
		}
	}
	s.room <- struct{}{}
	if err := s.post(sequence, true); err != nil {
		return err
	}
	return s.CloseSend()
}

func (s *stream) receive() error {
	var m frame
	for {
		err := s.RecvMsg(&m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %d acknowledgements: %w", len(s.latencies), err)
		}
		m.free()
		now := time.Now()
		s.mu.Lock()
		s.latencies = append(s.latencies, now.Sub(s.sentAt[len(s.latencies)]))
		s.mu.Unlock()
		<-s.room
	}
}
