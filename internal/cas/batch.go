package cas

import (
	"context"
	"fmt"
	"io"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// parallelBatches is how many batches of one instance are under way at once.
const parallelBatches = 4

// batchKey is what the blobs of one request have in common.
type batchKey struct {
	instance string
	function Function
	// limit is the server's bound on the batch's bytes.
	limit int64
}

type batchRead struct {
	digest Digest
	limit  int64
	done   chan batchResult
}

type batchResult struct {
	data []byte
	err  error
}

// ReadAll reads a blob into memory and verifies it. It is for small blobs: those of
// several callers share a request. [Client.Stream] is for large blobs.
func (c *Client) ReadAll(ctx context.Context, blob Blob) ([]byte, error) {
	limit := min(c.batchLimit(ctx, blob.Instance), maxBatch)
	// A server counts the blobs' bytes, some also the framing.
	if blob.Size > min(limit-limit/16, maxBatchBlob) {
		return c.readAllStream(ctx, blob)
	}
	for attempt := 1; ; attempt++ {
		read := &batchRead{digest: blob.Digest, limit: limit, done: make(chan batchResult, 1)}
		c.reads.add(batchKey{instance: blob.Instance, function: blob.Function, limit: limit}, read)
		var result batchResult
		select {
		case result = <-read.done:
		case <-ctx.Done():
			return nil, callError(ctx, "read", ctx.Err())
		}
		if result.err == nil {
			if err := verify(blob.Digest, result.data); err != nil {
				return nil, err
			}
			return result.data, nil
		}
		switch status.Code(result.err) {
		case codes.NotFound:
			return nil, &NotFoundError{Digest: blob.Digest}
		case codes.Unimplemented, codes.InvalidArgument, codes.OutOfRange:
			// No batches here, or none of this size.
			return c.readAllStream(ctx, blob)
		}
		if !passing(result.err) || attempt >= c.opts.Attempts {
			return nil, callError(ctx, "read", result.err)
		}
		if err := c.pause(ctx, attempt, retryInfo(result.err)); err != nil {
			return nil, callError(ctx, "read", err)
		}
	}
}

func (c *Client) readAllStream(ctx context.Context, blob Blob) ([]byte, error) {
	r, err := c.readVerified(ctx, blob)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data := make([]byte, blob.Size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	// The end of the stream is where the digest is checked.
	if n, err := r.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		return nil, fmt.Errorf("read the end of %s: %w", blob.Digest, err)
	}
	return data, nil
}

// takeReads fills a batch up to the limit.
func takeReads(queue []*batchRead) int {
	var total int64
	for i, read := range queue {
		total += read.digest.Size
		if i > 0 && total > read.limit-read.limit/16 {
			return i
		}
	}
	return len(queue)
}

func (c *Client) sendReads(key batchKey, reads []*batchRead) {
	request := &repb.BatchReadBlobsRequest{InstanceName: key.instance, DigestFunction: key.function.wire()}
	waiting := make(map[string][]*batchRead, len(reads))
	for _, read := range reads {
		id := read.digest.Hash
		if waiting[id] == nil {
			request.Digests = append(request.Digests, read.digest.proto())
		}
		waiting[id] = append(waiting[id], read)
	}
	ctx, cancel := context.WithTimeout(c.lifetime, c.opts.IdleTimeout)
	defer cancel()
	reply, err := c.storage().BatchReadBlobs(ctx, request)
	for _, r := range reply.GetResponses() {
		for _, read := range waiting[r.GetDigest().GetHash()] {
			read.done <- batchResult{data: r.GetData(), err: status.FromProto(r.GetStatus()).Err()}
		}
		delete(waiting, r.GetDigest().GetHash())
	}
	if err == nil && len(waiting) > 0 {
		err = status.Error(codes.Unavailable, "the cache's answer to a batch lacks this blob")
	}
	for _, left := range waiting {
		for _, read := range left {
			read.done <- batchResult{err: err}
		}
	}
}
