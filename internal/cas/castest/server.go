// Package castest is a content-addressable storage in memory, for tests: it
// speaks the parts of the Remote Execution API that package cas uses, and can
// be made to misbehave.
package castest

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net"
	"sync"
	"testing"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	bspb "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"

	"github.com/drayage/drayage/internal/cas"
)

// Server is a CAS on a loopback port.
type Server struct {
	repb.UnimplementedContentAddressableStorageServer
	repb.UnimplementedCapabilitiesServer
	bspb.UnimplementedByteStreamServer

	address string

	mu    sync.Mutex
	blobs map[string][]byte // by hash
	rules Rules
	calls map[string]int
	bytes int64
}

// Rules are how a [Server] behaves. The zero value is a good server without
// limits.
type Rules struct {
	// BatchLimit is the server's max_batch_total_size_bytes; a batch over it is
	// refused.
	BatchLimit int64
	// ChunkSize is the size of ByteStream messages. Defaults to 64 KiB.
	ChunkSize int
	// CutAfter breaks each ByteStream off, as Unavailable, after so many bytes.
	CutAfter int64
	// Fail, where it is set, is asked before each call and may make it fail.
	Fail func(call string) error
	// Stall, where it is set, is called before each ByteStream message with the
	// offset that it would have; it may block until the stream's end.
	Stall func(stream grpc.ServerStream, offset int64)
}

// Start runs a server until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{blobs: map[string][]byte{}, calls: map[string]int{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen for the fake remote cache: %v", err)
	}
	s.address = "grpc://" + listener.Addr().String()
	server := grpc.NewServer()
	repb.RegisterContentAddressableStorageServer(server, s)
	repb.RegisterCapabilitiesServer(server, s)
	bspb.RegisterByteStreamServer(server, s)
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Serve(listener); err != nil {
			t.Errorf("serve the fake remote cache: %v", err)
		}
	})
	t.Cleanup(func() {
		server.Stop()
		running.Wait()
	})
	return s
}

// Address is what [cas.Dial] takes.
func (s *Server) Address() string { return s.address }

// Dial makes a client of the server that is closed when the test ends.
func (s *Server) Dial(t testing.TB, opts cas.Options) *cas.Client {
	t.Helper()
	client, err := cas.Dial(s.address, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Errorf("close client of the fake remote cache: %v", err)
		}
	})
	return client
}

// Put stores data under its SHA-256 digest.
func (s *Server) Put(data []byte) cas.Digest {
	sum := sha256.Sum256(data)
	d := cas.Digest{Function: cas.SHA256, Hash: hex.EncodeToString(sum[:]), Size: int64(len(data))}
	s.PutAs(d, data)
	return d
}

// PutAs stores data under a digest that need not be its own.
func (s *Server) PutAs(d cas.Digest, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs[d.Hash] = data
}

// Evict forgets a blob.
func (s *Server) Evict(d cas.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.blobs, d.Hash)
}

// SetRules changes the server's behaviour from the next call on.
func (s *Server) SetRules(r Rules) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = r
}

// Calls counts the calls received, by name: "BatchReadBlobs", "Read",
// "FindMissingBlobs", "GetCapabilities".
func (s *Server) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// Bytes counts the bytes of blobs served.
func (s *Server) Bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}
