package cas

import (
	"context"
	"sync"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// maxBatch bounds the bytes asked for in one BatchReadBlobs, whatever more the
	// server allows. It is well under gRPC's usual limit of 4 MiB a message, and
	// bounds the memory of a batch, which exists several times while it is decoded.
	maxBatch = 1 << 20

	// maxBatchBlob is the size from which a blob has a stream of its own: a larger
	// one gains little from company.
	maxBatchBlob = 128 << 10
)

// limits are the batch limits of each instance, asked for once.
type limits struct {
	mu    sync.Mutex
	known map[string]int64
}

// batchLimit is the number of bytes that one BatchReadBlobs may ask for.
// A server that does not say is assumed to have no limit. If it refuses a batch
// nevertheless, the blobs are read with ByteStream.
func (c *Client) batchLimit(ctx context.Context, instance string) int64 {
	c.limits.mu.Lock()
	defer c.limits.mu.Unlock()
	if limit, known := c.limits.known[instance]; known {
		return limit
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.IdleTimeout)
	defer cancel()
	reply, err := repb.NewCapabilitiesClient(c.conn()).GetCapabilities(ctx, &repb.GetCapabilitiesRequest{InstanceName: instance})
	limit := int64(maxBatch)
	if n := reply.GetCacheCapabilities().GetMaxBatchTotalSizeBytes(); n > 0 {
		limit = min(limit, n)
	}
	if err != nil {
		c.opts.Logger.Debug().Err(err).Str("instance", instance).Msg("the remote cache did not tell its capabilities")
		if status.Code(err) != codes.Unimplemented {
			return limit
		}
	}
	if c.limits.known == nil || len(c.limits.known) >= 1024 {
		c.limits.known = map[string]int64{}
	}
	c.limits.known[instance] = limit
	return limit
}
