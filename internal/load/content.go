package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	contentpb "github.com/containerd/containerd/api/services/content/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/pushspec"
)

const (
	// lockTries bounds the tries to write a blob that another client is writing,
	// and lockWait is the time between them: ten minutes in all.
	lockTries = 1200
	lockWait  = 500 * time.Millisecond
)

// put writes a blob to the store unless the store has it, and tells whether it wrote.
func (c *Containerd) put(ctx context.Context, blob pushspec.Blob, labels map[string]string, from Sources) (moved bool, err error) {
	for try := 1; ; try++ {
		moved, err = c.putOnce(ctx, blob, labels, from)
		if refused(err) == codes.AlreadyExists {
			return false, nil
		}
		// One writer at a time: once it is done, the blob is there.
		if refused(err) == codes.OK || !isLocked(err) || try >= lockTries {
			break
		}
		c.opts.Logger.Debug().Str("digest", blob.Digest.String()).Msg("another client is writing the blob; waiting")
		if err := c.opts.Wait(ctx, lockWait); err != nil {
			return false, err
		}
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		return false, c.failure("write "+describe(blob.Descriptor), r.err)
	}
	return moved, err
}

// isLocked tells whether a write was refused because another client writes the same
// blob. containerd has no code for that.
func isLocked(err error) bool {
	return status.Code(err) == codes.Unavailable && strings.Contains(err.Error(), "locked")
}

// putOnce asks containerd for the blob, and writes the part that is missing.
func (c *Containerd) putOnce(parent context.Context, blob pushspec.Blob, labels map[string]string, from Sources) (bool, error) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel() // ends the stream, and with it the lock
	stream, err := c.content.Write(ctx)
	if err != nil {
		return false, &refusal{err: err}
	}
	w := &ingest{stream: stream, blob: blob, ref: ref(blob)}
	// Opening it tells whether the blob is there, in which case the lease has it
	// now; and how much of it, of an earlier try that broke off. Of a blob that
	// another namespace has, that is all.
	at, err := w.send(&contentpb.WriteContentRequest{
		Action: contentpb.WriteAction_STAT, Ref: w.ref, Total: blob.Size, Expected: blob.Digest.String(),
	})
	if err != nil {
		return false, err
	}
	moved := at < blob.Size
	if moved {
		if err := w.copy(ctx, at, from); err != nil {
			return false, err
		}
	}
	_, err = w.send(&contentpb.WriteContentRequest{
		Action: contentpb.WriteAction_COMMIT, Total: blob.Size, Offset: blob.Size, Expected: blob.Digest.String(), Labels: labels,
	})
	if refused(err) == codes.FailedPrecondition {
		// It was hashed by containerd. What came must not be gone on with.
		cancel()
		c.abort(context.WithoutCancel(stream.Context()), w.ref)
		if at > 0 && moved {
			// It may be the part that was there which is wrong.
			return c.putOnce(parent, blob, labels, from)
		}
		return false, wrongBytes(blob.Descriptor, status.Convert(errors.Unwrap(err)).Message())
	}
	return moved, err
}

// ref is the name that containerd's own clients give to the write of a blob, so that
// a pull and a load of the same blob wait for each other.
func ref(blob pushspec.Blob) string {
	role := "layer"
	switch {
	case blob.MediaType.IsConfig():
		role = "config"
	case blob.MediaType.IsIndex():
		role = "index"
	case blob.MediaType.IsImage():
		role = "manifest"
	}
	return role + "-" + blob.Digest.String()
}

func (c *Containerd) abort(ctx context.Context, ref string) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if _, err := c.content.Abort(ctx, &contentpb.AbortRequest{Ref: ref}); err != nil {
		c.opts.Logger.Debug().Err(err).Str("ref", ref).Msg("could not abort the write of a blob")
	}
}

// ingest is a blob that is being written.
type ingest struct {
	stream contentpb.Content_WriteClient
	blob   pushspec.Blob
	ref    string
}

// send sends a message, and returns how much of the blob is there after it.
func (w *ingest) send(message *contentpb.WriteContentRequest) (int64, error) {
	// Why a stream has ended is told when it is received from.
	if err := w.stream.Send(message); err != nil && !errors.Is(err, io.EOF) {
		return 0, &refusal{err: err}
	}
	answer, err := w.stream.Recv()
	if err != nil {
		return 0, &refusal{err: err}
	}
	return answer.GetOffset(), nil
}

// copy writes the blob from an offset to its end.
func (w *ingest) copy(ctx context.Context, at int64, from Sources) error {
	r, err := from.open(ctx, w.blob, at)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	buffer := make([]byte, min(chunk, w.blob.Size-at))
	for at < w.blob.Size {
		n, err := io.ReadFull(r, buffer[:min(int64(len(buffer)), w.blob.Size-at)])
		if n > 0 {
			if _, err := w.send(&contentpb.WriteContentRequest{Action: contentpb.WriteAction_WRITE, Offset: at, Data: buffer[:n]}); err != nil {
				return err
			}
			at += int64(n)
		}
		if err != nil && at < w.blob.Size {
			return fmt.Errorf("%s: its source failed after %d bytes: %w", describe(w.blob.Descriptor), at, err)
		}
	}
	return nil
}
