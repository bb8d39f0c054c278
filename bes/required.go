package bes

import (
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// requiredStream carries one connection's messages to one required backend. Nothing
// is kept: when it breaks the connection ends as it did, and Bazel sends again.
type requiredStream struct {
	a       *attachment
	index   int
	backend *backend
	stream  grpc.ClientStream
	release func()

	// resume is the first sequence number that the backend has not acknowledged.
	resume int64
	// finished is closed when the backend has ended its stream.
	finished chan struct{}
}

// errBackendEnded says that a backend's stream is over; its receiver ends the
// connection.
var errBackendEnded = errors.New("backend ended its stream")

// openRequired opens a stream to each required backend.
func (a *attachment) openRequired() error {
	for index, b := range a.service.required {
		stream, release, err := b.open(a.ctx, b.passOn(a.ctx))
		if err != nil {
			return err
		}
		a.invocation.mu.Lock()
		resume := a.invocation.required[index] + 1
		a.invocation.mu.Unlock()
		r := &requiredStream{
			a: a, index: index, backend: b, stream: stream, release: release, resume: resume,
			finished: make(chan struct{}),
		}
		a.required = append(a.required, r)
		a.workers.Go(func() {
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
	a, i := r.a, r.a.invocation
	var m frame
	for {
		err := r.stream.RecvMsg(&m)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				r.backend.answered(err)
				a.end(err)
			}
			close(r.finished)
			a.backendDone(r.index)
			return
		}
		sequence, err := readAcknowledgement(m.bytes())
		m.free()
		if err != nil {
			a.end(status.Errorf(codes.FailedPrecondition, "BES backend %s: %v", r.backend.Name, err))
			continue
		}
		i.mu.Lock()
		due := i.required[r.index] + 1
		ok := sequence == due && sequence <= a.received
		if ok {
			i.required[r.index] = sequence
			a.pumpLocked()
			continue
		}
		i.mu.Unlock()
		switch {
		case sequence < due:
			// Bazel does not survive the same acknowledgement twice.
			a.service.log.Warn().Str("backend", r.backend.Name).Int64("sequence", sequence).Msg("backend acknowledged a message again")
		default:
			a.end(status.Errorf(codes.FailedPrecondition,
				"BES backend %s acknowledged message %d where %d was due", r.backend.Name, sequence, due))
		}
	}
}
