package castest

import (
	"context"
	"strings"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	bspb "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// begin counts a call and applies the rules to it.
func (s *Server) begin(call string) (Rules, error) {
	s.mu.Lock()
	s.calls[call]++
	rules := s.rules
	s.mu.Unlock()
	if rules.ChunkSize <= 0 {
		rules.ChunkSize = 64 << 10
	}
	if rules.Fail != nil {
		return rules, rules.Fail(call)
	}
	return rules, nil
}

func (s *Server) blob(hash string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, found := s.blobs[hash]
	return data, found
}

func (s *Server) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes += int64(n)
}

// GetCapabilities tells the batch limit.
func (s *Server) GetCapabilities(context.Context, *repb.GetCapabilitiesRequest) (*repb.ServerCapabilities, error) {
	rules, err := s.begin("GetCapabilities")
	if err != nil {
		return nil, err
	}
	return &repb.ServerCapabilities{CacheCapabilities: &repb.CacheCapabilities{
		DigestFunctions:        []repb.DigestFunction_Value{repb.DigestFunction_SHA256, repb.DigestFunction_BLAKE3},
		MaxBatchTotalSizeBytes: rules.BatchLimit,
	}}, nil
}

// FindMissingBlobs tells what was not put, or is evicted.
func (s *Server) FindMissingBlobs(_ context.Context, in *repb.FindMissingBlobsRequest) (*repb.FindMissingBlobsResponse, error) {
	if _, err := s.begin("FindMissingBlobs"); err != nil {
		return nil, err
	}
	out := &repb.FindMissingBlobsResponse{}
	for _, d := range in.GetBlobDigests() {
		if _, found := s.blob(d.GetHash()); !found {
			out.MissingBlobDigests = append(out.MissingBlobDigests, d)
		}
	}
	return out, nil
}

// BatchReadBlobs serves small blobs, each with a status of its own.
func (s *Server) BatchReadBlobs(_ context.Context, in *repb.BatchReadBlobsRequest) (*repb.BatchReadBlobsResponse, error) {
	rules, err := s.begin("BatchReadBlobs")
	if err != nil {
		return nil, err
	}
	var total int64
	out := &repb.BatchReadBlobsResponse{}
	for _, d := range in.GetDigests() {
		total += d.GetSizeBytes()
		response := &repb.BatchReadBlobsResponse_Response{Digest: d}
		if data, found := s.blob(d.GetHash()); found {
			response.Data = data
			s.count(len(data))
		} else {
			response.Status = status.New(codes.NotFound, "no such blob").Proto()
		}
		out.Responses = append(out.Responses, response)
	}
	if rules.BatchLimit > 0 && total > rules.BatchLimit {
		return nil, status.Errorf(codes.InvalidArgument, "%d bytes are over the limit of %d", total, rules.BatchLimit)
	}
	return out, nil
}

// Read serves a blob in chunks.
func (s *Server) Read(in *bspb.ReadRequest, stream bspb.ByteStream_ReadServer) error {
	rules, err := s.begin("Read")
	if err != nil {
		return err
	}
	parts := strings.Split(in.GetResourceName(), "/")
	if len(parts) < 3 {
		return status.Errorf(codes.InvalidArgument, "%q is no resource name", in.GetResourceName())
	}
	data, found := s.blob(parts[len(parts)-2])
	if !found {
		return status.Error(codes.NotFound, "no such blob")
	}
	if in.GetReadOffset() > int64(len(data)) {
		return status.Error(codes.OutOfRange, "the offset is beyond the blob")
	}
	var sent int64
	for offset := in.GetReadOffset(); offset < int64(len(data)); {
		if rules.Stall != nil {
			rules.Stall(stream, offset)
		}
		n := min(int64(rules.ChunkSize), int64(len(data))-offset)
		if rules.CutAfter > 0 {
			n = min(n, rules.CutAfter-sent)
		}
		if n == 0 {
			return status.Error(codes.Unavailable, "cut by the test's rules")
		}
		if err := stream.Send(&bspb.ReadResponse{Data: data[offset : offset+n]}); err != nil {
			return err
		}
		offset += n
		sent += n
		s.count(int(n))
	}
	return nil
}
