package cas

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// NotFoundError says that the remote cache does not have a blob.
type NotFoundError struct {
	Digest Digest
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("the remote cache does not have %s (%s)", e.Digest, humanize.IBytes(uint64(max(0, e.Digest.Size))))
}

// MismatchError says that the remote cache served bytes that do not match the digest.
type MismatchError struct {
	Digest Digest
	// got is the digest of the bytes served, or says how many there were.
	got string
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("the remote cache served %s instead of %s: check the cache's storage", e.got, e.Digest)
}

// CallError says that a call failed after all retries: the remote cache refused it,
// or could not be reached.
type CallError struct {
	// call is what was attempted: "read", "find missing blobs".
	call string
	Code codes.Code
	// RetryAfter is how long the server asked to wait (google.rpc.RetryInfo), or
	// zero.
	RetryAfter time.Duration
	err        error
}

func (e *CallError) Error() string {
	return fmt.Sprintf("%s from the remote cache: %s: %s", e.call, e.Code, status.Convert(e.err).Message())
}

func (e *CallError) Unwrap() error { return e.err }

// Denied tells whether the server refused the client's credentials.
func (e *CallError) Denied() bool {
	return e.Code == codes.PermissionDenied || e.Code == codes.Unauthenticated
}

// Final tells whether the same call would fail in the same way again.
func (e *CallError) Final() bool {
	switch e.Code {
	case codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument, codes.Unimplemented, codes.FailedPrecondition:
		return true
	}
	return false
}

// callError makes the error of a failed call. The end of the caller's own context is
// not a CallError: it says nothing about the server.
func callError(ctx context.Context, call string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s from the remote cache: %w", call, context.Cause(ctx))
	}
	if _, ok := errors.AsType[*CallError](err); ok {
		return err
	}
	return &CallError{call: call, Code: status.Code(err), RetryAfter: retryInfo(err), err: err}
}

// retryInfo is the delay that the server asked for, or zero.
func retryInfo(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return max(0, info.GetRetryDelay().AsDuration())
		}
	}
	return 0
}
