package rig

import (
	"crypto/sha256"
	"math/rand/v2"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// CacheWriter puts blobs into a cache, many at a time.
type CacheWriter struct {
	T     T
	Cache *BazelRemote
	batch []*repb.BatchUpdateBlobsRequest_Request
	bytes int
}

// Put adds a layer of noise that the seed decides.
func (w *CacheWriter) Put(seed string, size int) v1.Descriptor {
	data := make([]byte, size)
	// It is written in whole or not at all.
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(seed))).Read(data)
	return w.Add(types.OCILayer, data)
}

// Add adds a blob, and describes it.
func (w *CacheWriter) Add(mediaType types.MediaType, data []byte) v1.Descriptor {
	w.T.Helper()
	blob := Describe(mediaType, data)
	const most = 3 << 20 // what gRPC takes in one message, less something
	if w.bytes+len(data) > most {
		w.Flush()
	}
	w.batch = append(w.batch, &repb.BatchUpdateBlobsRequest_Request{Digest: &repb.Digest{Hash: blob.Digest.Hex, SizeBytes: blob.Size}, Data: data})
	w.bytes += len(data)
	return blob
}

// Flush writes what has been added and is not in the cache yet.
func (w *CacheWriter) Flush() {
	w.T.Helper()
	if len(w.batch) == 0 {
		return
	}
	conn, err := grpc.NewClient(w.Cache.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(w.T, err)
	defer func() { _ = conn.Close() }()
	answer, err := repb.NewContentAddressableStorageClient(conn).BatchUpdateBlobs(w.T.Context(), &repb.BatchUpdateBlobsRequest{Requests: w.batch})
	must(w.T, err)
	for _, r := range answer.GetResponses() {
		if r.GetStatus().GetCode() != 0 {
			w.T.Fatalf("fill the cache: %s", r.GetStatus().GetMessage())
		}
	}
	w.batch, w.bytes = nil, 0
}

func must(t T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}
