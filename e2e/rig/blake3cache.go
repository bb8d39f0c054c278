package rig

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"strings"
	"sync"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"github.com/bazelbuild/remote-apis/build/bazel/semver"
	"github.com/zeebo/blake3"
	bspb "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Blake3Cache is a remote cache for builds under --digest_function=blake3, which
// bazel-remote does not speak. It keeps blobs and action results in memory,
// verifies what it is given, and refuses every other digest function.
type Blake3Cache struct {
	repb.UnimplementedCapabilitiesServer
	repb.UnimplementedActionCacheServer
	repb.UnimplementedContentAddressableStorageServer
	bspb.UnimplementedByteStreamServer

	// GRPC is its address as Bazel's --remote_cache names it.
	GRPC string

	mu      sync.Mutex
	blobs   map[string][]byte // by hash
	results map[string]*repb.ActionResult
}

// blake3Chunk is the size of a message of a stream, in bytes.
const blake3Chunk = 1 << 20

// StartBlake3Cache starts an empty cache.
func StartBlake3Cache(t T) *Blake3Cache {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start the BLAKE3 cache: %v", err)
	}
	c := &Blake3Cache{GRPC: "grpc://" + listener.Addr().String(), blobs: map[string][]byte{}, results: map[string]*repb.ActionResult{}}
	server := grpc.NewServer()
	repb.RegisterCapabilitiesServer(server, c)
	repb.RegisterActionCacheServer(server, c)
	repb.RegisterContentAddressableStorageServer(server, c)
	bspb.RegisterByteStreamServer(server, c)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Errorf("serve the BLAKE3 cache: %v", err)
		}
	})
	return c
}

// GetCapabilities implements the service.
func (c *Blake3Cache) GetCapabilities(context.Context, *repb.GetCapabilitiesRequest) (*repb.ServerCapabilities, error) {
	return &repb.ServerCapabilities{
		CacheCapabilities: &repb.CacheCapabilities{
			DigestFunctions:               []repb.DigestFunction_Value{repb.DigestFunction_BLAKE3},
			ActionCacheUpdateCapabilities: &repb.ActionCacheUpdateCapabilities{UpdateEnabled: true},
			MaxBatchTotalSizeBytes:        blake3Chunk,
		},
		LowApiVersion:  &semver.SemVer{Major: 2},
		HighApiVersion: &semver.SemVer{Major: 2, Minor: 3},
	}, nil
}

// only refuses what is asked under another digest function: a hash of one may be
// taken for a hash of the other, for they are of one length.
func only(function repb.DigestFunction_Value) error {
	if function != repb.DigestFunction_BLAKE3 {
		return status.Errorf(codes.InvalidArgument, "this cache speaks BLAKE3, and was asked under %s", function)
	}
	return nil
}

// GetActionResult implements the service.
func (c *Blake3Cache) GetActionResult(_ context.Context, req *repb.GetActionResultRequest) (*repb.ActionResult, error) {
	if err := only(req.GetDigestFunction()); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if result := c.results[req.GetActionDigest().GetHash()]; result != nil {
		return result, nil
	}
	return nil, status.Error(codes.NotFound, "no such action")
}

// UpdateActionResult implements the service.
func (c *Blake3Cache) UpdateActionResult(_ context.Context, req *repb.UpdateActionResultRequest) (*repb.ActionResult, error) {
	if err := only(req.GetDigestFunction()); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results[req.GetActionDigest().GetHash()] = proto.CloneOf(req.GetActionResult())
	return req.GetActionResult(), nil
}

// FindMissingBlobs implements the service.
func (c *Blake3Cache) FindMissingBlobs(_ context.Context, req *repb.FindMissingBlobsRequest) (*repb.FindMissingBlobsResponse, error) {
	if err := only(req.GetDigestFunction()); err != nil {
		return nil, err
	}
	var missing []*repb.Digest
	for _, d := range req.GetBlobDigests() {
		if data, err := c.get(d.GetHash()); err != nil || int64(len(data)) != d.GetSizeBytes() {
			missing = append(missing, d)
		}
	}
	return &repb.FindMissingBlobsResponse{MissingBlobDigests: missing}, nil
}

// BatchUpdateBlobs implements the service.
func (c *Blake3Cache) BatchUpdateBlobs(_ context.Context, req *repb.BatchUpdateBlobsRequest) (*repb.BatchUpdateBlobsResponse, error) {
	if err := only(req.GetDigestFunction()); err != nil {
		return nil, err
	}
	answer := &repb.BatchUpdateBlobsResponse{}
	for _, r := range req.GetRequests() {
		answer.Responses = append(answer.Responses, &repb.BatchUpdateBlobsResponse_Response{
			Digest: r.GetDigest(), Status: status.Convert(c.put(r.GetDigest().GetHash(), r.GetData())).Proto(),
		})
	}
	return answer, nil
}

// BatchReadBlobs implements the service.
func (c *Blake3Cache) BatchReadBlobs(_ context.Context, req *repb.BatchReadBlobsRequest) (*repb.BatchReadBlobsResponse, error) {
	if err := only(req.GetDigestFunction()); err != nil {
		return nil, err
	}
	answer := &repb.BatchReadBlobsResponse{}
	for _, d := range req.GetDigests() {
		data, err := c.get(d.GetHash())
		answer.Responses = append(answer.Responses, &repb.BatchReadBlobsResponse_Response{Digest: d, Data: data, Status: status.Convert(err).Proto()})
	}
	return answer, nil
}

// Read implements the service.
func (c *Blake3Cache) Read(req *bspb.ReadRequest, stream bspb.ByteStream_ReadServer) error {
	hash, err := blake3Hash(req.GetResourceName())
	if err != nil {
		return err
	}
	data, err := c.get(hash)
	if err != nil {
		return err
	}
	if req.GetReadOffset() > int64(len(data)) {
		return status.Error(codes.OutOfRange, "the offset is beyond the end")
	}
	for data = data[req.GetReadOffset():]; len(data) > 0; {
		n := min(len(data), blake3Chunk)
		if err := stream.Send(&bspb.ReadResponse{Data: data[:n]}); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// Write implements the service.
func (c *Blake3Cache) Write(stream bspb.ByteStream_WriteServer) error {
	var name string
	var data []byte
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if req.GetResourceName() != "" {
			name = req.GetResourceName()
		}
		data = append(data, req.GetData()...)
	}
	hash, err := blake3Hash(name)
	if err != nil {
		return err
	}
	if err := c.put(hash, data); err != nil {
		return err
	}
	return stream.SendAndClose(&bspb.WriteResponse{CommittedSize: int64(len(data))})
}

// blake3Hash is the hash in a resource name that ends in blobs/blake3/HASH/SIZE.
func blake3Hash(name string) (string, error) {
	before, _ := path.Split(name)
	before, hash := path.Split(strings.TrimSuffix(before, "/"))
	if path.Base(before) != "blake3" {
		return "", status.Errorf(codes.InvalidArgument, "%s names no BLAKE3 blob", name)
	}
	return hash, nil
}

func (c *Blake3Cache) get(hash string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if data, found := c.blobs[hash]; found {
		return data, nil
	}
	return nil, status.Error(codes.NotFound, "the cache does not have "+hash)
}

func (c *Blake3Cache) put(hash string, data []byte) error {
	sum := blake3.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != hash {
		return status.Error(codes.InvalidArgument, fmt.Sprintf("the bytes have the hash %s, not %s", got, hash))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blobs[hash] = data
	return nil
}
