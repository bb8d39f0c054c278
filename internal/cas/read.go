package cas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	bspb "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// readVerified is [Client.Stream] from the blob's first byte. At the end it returns
// io.EOF if the digest is right, or else a [*MismatchError].
func (c *Client) readVerified(ctx context.Context, blob Blob) (io.ReadCloser, error) {
	r, err := c.Stream(ctx, blob, 0)
	if err != nil {
		return nil, err
	}
	h, err := newHash(blob.Function)
	if err != nil {
		r.Close()
		return nil, err
	}
	return &verifyingReader{ReadCloser: r, want: blob.Digest, hash: h}, nil
}

// Stream reads a blob from offset on. If the stream breaks, it continues where it
// ended, unnoticed by the caller. Stream checks the number of bytes; the caller must
// verify the digest.
func (c *Client) Stream(ctx context.Context, blob Blob, offset int64) (io.ReadCloser, error) {
	if offset < 0 || offset > blob.Size {
		return nil, fmt.Errorf("read %s: the offset %d must be 0 to %d", blob.Digest, offset, blob.Size)
	}
	r := &reader{client: c, blob: blob, offset: offset}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	if offset == blob.Size {
		return r, nil
	}
	// The first chunk is read now, so that a blob that is not there is an error
	// here.
	if err := r.fill(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

var errIdle = status.Error(codes.DeadlineExceeded, "the cache sent nothing for too long")

// reader reads one blob over as many streams as it takes.
type reader struct {
	client *Client
	blob   Blob
	ctx    context.Context
	cancel context.CancelCauseFunc

	// offset is that of the next byte to receive.
	offset   int64
	rest     chunk
	attempts int

	stream    grpc.ClientStream
	endStream context.CancelCauseFunc
	idle      *time.Timer
}

func (r *reader) Read(p []byte) (int, error) {
	for r.rest.data == nil || r.rest.data.Remaining() == 0 {
		r.rest.release()
		if r.offset == r.blob.Size {
			return 0, io.EOF
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	return r.rest.data.Read(p)
}

func (r *reader) Close() error {
	r.closeStream()
	r.cancel(nil)
	r.rest.release()
	return nil
}

// fill receives the next chunk, over a new stream where need be.
func (r *reader) fill() error {
	for {
		n, err := r.receive()
		if err == nil && r.offset+n > r.blob.Size {
			r.closeStream()
			r.rest.release()
			return &MismatchError{Digest: r.blob.Digest, got: fmt.Sprintf("more than %d bytes", r.blob.Size)}
		}
		if err == nil && n > 0 {
			r.offset += n
			r.attempts = 0
			if r.offset == r.blob.Size {
				r.closeStream()
			}
			return nil
		}
		if err == nil {
			continue
		}
		r.closeStream()
		if errors.Is(err, io.EOF) {
			err = status.Errorf(codes.Unavailable, "the stream ended %d bytes early", r.blob.Size-r.offset)
		}
		if r.ctx.Err() != nil {
			return callError(r.ctx, "read", err)
		}
		if status.Code(err) == codes.NotFound {
			return &NotFoundError{Digest: r.blob.Digest}
		}
		r.attempts++
		if !passing(err) || r.attempts >= r.client.opts.Attempts {
			return callError(r.ctx, "read", err)
		}
		r.client.opts.Logger.Debug().Err(err).Str("digest", r.blob.String()).Int64("offset", r.offset).
			Msg("a read from the remote cache broke off and continues")
		if err := r.client.pause(r.ctx, r.attempts, retryInfo(err)); err != nil {
			return callError(r.ctx, "read", err)
		}
	}
}

// readMethod is ByteStream.Read for a stream that is decoded by chunkCodec.
const readMethod = "/google.bytestream.ByteStream/Read"

// receive fetches the next chunk, and gives its length.
func (r *reader) receive() (int64, error) {
	if r.stream == nil {
		ctx, end := context.WithCancelCause(r.ctx)
		r.endStream = end
		r.idle = time.AfterFunc(r.client.opts.IdleTimeout, func() { end(errIdle) })
		stream, err := r.client.conn().NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, readMethod, grpc.ForceCodecV2(chunkCodec{}))
		if err == nil {
			err = stream.SendMsg(&bspb.ReadRequest{ResourceName: r.blob.resource(), ReadOffset: r.offset})
		}
		if err == nil || errors.Is(err, io.EOF) {
			// Why the stream ended already is told when it is received from.
			err = stream.CloseSend()
		}
		if err != nil {
			return 0, idleOr(ctx, err)
		}
		r.stream = stream
	}
	r.idle.Reset(r.client.opts.IdleTimeout)
	if err := r.stream.RecvMsg(&r.rest); err != nil {
		return 0, idleOr(r.stream.Context(), err)
	}
	// The caller may take its time with what was received.
	r.idle.Stop()
	if r.rest.data == nil {
		return 0, nil
	}
	return int64(r.rest.data.Remaining()), nil
}

func (r *reader) closeStream() {
	if r.idle != nil {
		r.idle.Stop()
	}
	if r.endStream != nil {
		r.endStream(nil)
	}
	r.stream, r.endStream = nil, nil
}

// idleOr is the reason for which a stream ended.
func idleOr(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errIdle) {
		return errIdle
	}
	return err
}

// passing tells whether the same call may succeed a little later. Many servers answer
// Internal or Unknown when a server behind them fails for a moment.
func passing(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.ResourceExhausted, codes.Internal, codes.Unknown, codes.Canceled:
		return true
	}
	return false
}
