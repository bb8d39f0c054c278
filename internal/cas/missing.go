package cas

import (
	"context"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
)

// maxMissing bounds the digests of one FindMissingBlobs: about 300 KiB of
// request.
const maxMissing = 4000

type missingQuery struct {
	digests []Digest
	done    chan missingResult
}

type missingResult struct {
	// missing holds the hashes that the server lacks.
	missing map[string]bool
	err     error
}

// FindMissing returns the digests that the instance lacks. It renews the lifetime of
// the others. Calls at the same time share a request.
func (c *Client) FindMissing(ctx context.Context, instance string, digests []Digest) ([]Digest, error) {
	byFunction := map[Function][]Digest{}
	for _, d := range digests {
		byFunction[d.Function] = append(byFunction[d.Function], d)
	}
	var queries []*missingQuery
	for function, all := range byFunction {
		for len(all) > 0 {
			n := min(len(all), maxMissing)
			query := &missingQuery{digests: all[:n], done: make(chan missingResult, 1)}
			all = all[n:]
			queries = append(queries, query)
			c.missing.add(batchKey{instance: instance, function: function}, query)
		}
	}
	var missing []Digest
	for _, query := range queries {
		select {
		case result := <-query.done:
			if result.err != nil {
				return nil, callError(ctx, "find missing blobs", result.err)
			}
			for _, d := range query.digests {
				if result.missing[d.Hash] {
					missing = append(missing, d)
				}
			}
		case <-ctx.Done():
			return nil, callError(ctx, "find missing blobs", ctx.Err())
		}
	}
	return missing, nil
}

func takeMissing(queue []*missingQuery) int {
	total := 0
	for i, query := range queue {
		total += len(query.digests)
		if i > 0 && total > maxMissing {
			return i
		}
	}
	return len(queue)
}

func (c *Client) sendMissing(key batchKey, queries []*missingQuery) {
	request := &repb.FindMissingBlobsRequest{InstanceName: key.instance, DigestFunction: key.function.wire()}
	asked := map[string]bool{}
	for _, query := range queries {
		for _, d := range query.digests {
			if !asked[d.Hash] {
				asked[d.Hash] = true
				request.BlobDigests = append(request.BlobDigests, d.proto())
			}
		}
	}
	result := missingResult{missing: map[string]bool{}}
	reply, err := c.findMissing(request)
	for _, d := range reply.GetMissingBlobDigests() {
		result.missing[d.GetHash()] = true
	}
	result.err = err
	for _, query := range queries {
		query.done <- result
	}
}

func (c *Client) findMissing(request *repb.FindMissingBlobsRequest) (*repb.FindMissingBlobsResponse, error) {
	for attempt := 1; ; attempt++ {
		ctx, cancel := context.WithTimeout(c.lifetime, c.opts.IdleTimeout)
		reply, err := c.storage().FindMissingBlobs(ctx, request)
		cancel()
		if err == nil || !passing(err) || attempt >= c.opts.Attempts {
			return reply, err
		}
		if err := c.pause(c.lifetime, attempt, retryInfo(err)); err != nil {
			return nil, err
		}
	}
}
