package bes

import (
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// requiredStream carries one incoming stream's messages to one required backend. Nothing
// is kept: when it breaks, the incoming stream ends in the same way, and Bazel sends
// again.
type requiredStream struct {
	in      *incoming
	index   int
	backend *backend
	stream  grpc.ClientStream
	release func()

	// resume is the first sequence number that the backend has not acknowledged.
	resume int64
	// finished is closed when the backend has ended its stream.
	finished chan struct{}
}

// errBackendEnded says that a backend's stream is over. Its receiver ends the incoming
// stream.
var errBackendEnded = errors.New("backend ended its stream")

// openRequired opens a stream to each required backend.
func (in *incoming) openRequired() error {
	for index, b := range in.service.required {
		stream, release, err := b.open(in.ctx, b.passOn(in.ctx))
		if err != nil {
			return err
		}
		in.invocation.mu.Lock()
		resume := in.invocation.required[index] + 1
		in.invocation.mu.Unlock()
		r := &requiredStream{
			in: in, index: index, backend: b, stream: stream, release: release, resume: resume,
			finished: make(chan struct{}),
		}
		in.required = append(in.required, r)
		in.workers.Go(func() {
			defer r.release()
			r.receive()
		})
	}
	return nil
}

// send forwards a message, unless the backend has acknowledged it before. It blocks
// while the backend's flow control does.
func (r *requiredStream) send(sequence int64, m *frame) (sent bool, err error) {
	if sequence < r.resume {
		return false, nil
	}
	if err := r.stream.SendMsg(m); err != nil {
		if errors.Is(err, io.EOF) {
			return false, errBackendEnded
		}
		return false, err
	}
	return true, nil
}

func (r *requiredStream) closeSend() {
	_ = r.stream.CloseSend() // what is wrong with the stream, its receiver hears
}

// receive takes the backend's acknowledgements until its stream ends.
func (r *requiredStream) receive() {
	in, i := r.in, r.in.invocation
	var m frame
	for {
		err := r.stream.RecvMsg(&m)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				r.backend.answered(err)
				in.end(err)
			}
			close(r.finished)
			in.backendDone(r.index)
			return
		}
		sequence, err := readAcknowledgement(m.bytes())
		m.free()
		if err != nil {
			in.end(status.Errorf(codes.FailedPrecondition, "BES backend %s: %v", r.backend.Name, err))
			continue
		}
		i.mu.Lock()
		due := i.required[r.index] + 1
		ok := sequence == due && sequence <= in.received
		if ok {
			i.required[r.index] = sequence
			in.acknowledgeLocked()
			continue
		}
		i.mu.Unlock()
		switch {
		case sequence < due:
			// Bazel does not survive the same acknowledgement twice.
			in.service.log.Warn().Str("backend", r.backend.Name).Int64("sequence", sequence).Msg("backend acknowledged a message again")
		default:
			in.end(status.Errorf(codes.FailedPrecondition,
				"BES backend %s acknowledged message %d instead of message %d", r.backend.Name, sequence, due))
		}
	}
}
