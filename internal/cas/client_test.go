package cas_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zeebo/blake3"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
)

// impatient waits not at all between tries, and tells how long it would have.
func impatient(waits *[]time.Duration) cas.Options {
	var mu sync.Mutex
	return cas.Options{Wait: func(ctx context.Context, d time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		if waits != nil {
			*waits = append(*waits, d)
		}
		return ctx.Err()
	}}
}

func noise(seed uint64, n int) []byte {
	data := make([]byte, n)
	source := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	source.Read(data)
	return data
}

func TestReadGoesOnWhereAStreamBroke(t *testing.T) {
	server := castest.Start(t)
	data := noise(1, 1<<20)
	digest := server.Put(data)
	server.SetRules(castest.Rules{ChunkSize: 10_000, CutAfter: 123_456})
	client := server.Dial(t, impatient(nil))

	r, err := client.Stream(t.Context(), cas.Blob{Digest: digest}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, data) {
		t.Error("the bytes read are not the blob's")
	}
	if calls := server.Calls()["Read"]; calls != 1<<20/123_456+1 {
		t.Errorf("%d streams were opened, want %d", calls, 1<<20/123_456+1)
	}
	if server.Bytes() != int64(len(data)) {
		t.Errorf("%d bytes were served for a blob of %d", server.Bytes(), len(data))
	}
}

func TestReadFromAnOffset(t *testing.T) {
	server := castest.Start(t)
	data := noise(2, 300_000)
	digest := server.Put(data)
	client := server.Dial(t, impatient(nil))
	for _, offset := range []int64{1, 299_999, 300_000} {
		r, err := client.Stream(t.Context(), cas.Blob{Instance: "main", Digest: digest}, offset)
		if err != nil {
			t.Fatalf("offset %d: %v", offset, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, data[offset:]) {
			t.Errorf("offset %d: %d bytes, %v; want the blob's last %d", offset, len(got), err, len(data)-int(offset))
		}
		r.Close()
	}
	if _, err := client.Stream(t.Context(), cas.Blob{Digest: digest}, 300_001); err == nil {
		t.Error("an offset beyond the blob was accepted")
	}
}

func TestReadNamesAnotherDigestFunction(t *testing.T) {
	server := castest.Start(t)
	data := noise(3, 3<<20)
	sum := blake3.Sum256(data)
	digest := cas.Digest{Function: cas.BLAKE3, Hash: hex.EncodeToString(sum[:]), Size: int64(len(data))}
	server.PutAs(digest, data)
	client := server.Dial(t, impatient(nil))
	got, err := client.ReadAll(t.Context(), cas.Blob{Digest: digest})
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("read %d bytes, %v; want the blob", len(got), err)
	}
}

func TestReadRefusesWrongBytes(t *testing.T) {
	server := castest.Start(t)
	for _, size := range []int{1000, 2 << 20} {
		data := noise(4, size)
		digest := server.Put(data)
		server.PutAs(digest, append([]byte{data[0] ^ 1}, data[1:]...))
		client := server.Dial(t, impatient(nil))
		_, err := client.ReadAll(t.Context(), cas.Blob{Digest: digest})
		if mismatch, ok := errors.AsType[*cas.MismatchError](err); !ok || mismatch.Digest != digest {
			t.Errorf("blob of %d bytes: got error %v, want a MismatchError that names it", size, err)
		}
	}
}

func TestReadOfAMissingBlobNamesIt(t *testing.T) {
	server := castest.Start(t)
	digest := server.Put(noise(5, 5000))
	server.Evict(digest)
	client := server.Dial(t, impatient(nil))
	_, batched := client.ReadAll(t.Context(), cas.Blob{Digest: digest})
	_, streamed := client.Stream(t.Context(), cas.Blob{Digest: digest}, 0)
	for _, err := range []error{batched, streamed} {
		if missing, ok := errors.AsType[*cas.NotFoundError](err); !ok || missing.Digest != digest {
			t.Errorf("got error %v, want a NotFoundError that names %s", err, digest)
		}
	}
}

func TestReadObeysRetryInfo(t *testing.T) {
	server := castest.Start(t)
	digest := server.Put(noise(6, 2<<20))
	var failures atomic.Int32
	server.SetRules(castest.Rules{Fail: func(call string) error {
		if call != "Read" || failures.Add(1) > 2 {
			return nil
		}
		busy, err := status.New(codes.ResourceExhausted, "busy").
			WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(7 * time.Second)})
		if err != nil {
			return err
		}
		return busy.Err()
	}})
	var waits []time.Duration
	client := server.Dial(t, impatient(&waits))
	if _, err := client.ReadAll(t.Context(), cas.Blob{Digest: digest}); err != nil {
		t.Fatal(err)
	}
	if len(waits) != 2 || waits[0] != 7*time.Second || waits[1] != 7*time.Second {
		t.Errorf("waited %v, want 7s twice", waits)
	}
}

func TestReadGivesUpOnAServerThatStaysAway(t *testing.T) {
	server := castest.Start(t)
	digest := server.Put(noise(7, 2<<20))
	server.SetRules(castest.Rules{Fail: func(string) error { return status.Error(codes.Unavailable, "away") }})
	opts := impatient(nil)
	opts.Attempts = 4
	client := server.Dial(t, opts)
	_, err := client.Stream(t.Context(), cas.Blob{Digest: digest}, 0)
	if failed, ok := errors.AsType[*cas.CallError](err); !ok || failed.Code != codes.Unavailable || failed.Final() {
		t.Errorf("got error %v, want a passing CallError", err)
	}
	if calls := server.Calls()["Read"]; calls != 4 {
		t.Errorf("the call was made %d times, want 4", calls)
	}
}

func TestReadLeavesAStreamThatStalls(t *testing.T) {
	server := castest.Start(t)
	data := noise(8, 1<<20)
	digest := server.Put(data)
	var stalled atomic.Bool
	server.SetRules(castest.Rules{Stall: func(stream grpc.ServerStream, offset int64) {
		if offset > 500_000 && stalled.CompareAndSwap(false, true) {
			<-stream.Context().Done()
		}
	}})
	opts := impatient(nil)
	opts.IdleTimeout = 50 * time.Millisecond
	client := server.Dial(t, opts)
	r, err := client.Stream(t.Context(), cas.Blob{Digest: digest}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
		t.Errorf("read %d bytes, %v; want the blob", len(got), err)
	}
	if !stalled.Load() {
		t.Error("the stream never stalled")
	}
}

func TestSmallReadsShareRequestsWithinTheServersLimit(t *testing.T) {
	server := castest.Start(t)
	server.SetRules(castest.Rules{BatchLimit: 64 << 10})
	client := server.Dial(t, impatient(nil))
	var readers sync.WaitGroup
	for i := range 400 {
		data := noise(uint64(i), 1000+i)
		digest := server.Put(data)
		readers.Go(func() {
			got, err := client.ReadAll(t.Context(), cas.Blob{Digest: digest})
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("blob %d: read %d bytes, %v", i, len(got), err)
			}
		})
	}
	readers.Wait()
	calls := server.Calls()
	if calls["BatchReadBlobs"] >= 400 || calls["Read"] > 0 {
		t.Errorf("calls made: %v; want fewer batches than blobs, and no streams", calls)
	}
}

func TestAServerWithoutBatchesIsReadFromByStream(t *testing.T) {
	server := castest.Start(t)
	data := noise(9, 5000)
	digest := server.Put(data)
	server.SetRules(castest.Rules{Fail: func(call string) error {
		if strings.HasPrefix(call, "Batch") || call == "GetCapabilities" {
			return status.Error(codes.Unimplemented, "not here")
		}
		return nil
	}})
	client := server.Dial(t, impatient(nil))
	got, err := client.ReadAll(t.Context(), cas.Blob{Digest: digest})
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("read %d bytes, %v; want the blob", len(got), err)
	}
}

func TestFindMissing(t *testing.T) {
	server := castest.Start(t)
	client := server.Dial(t, impatient(nil))
	var digests []cas.Digest
	for i := range 9000 {
		digests = append(digests, server.Put([]byte{byte(i), byte(i >> 8), 1}))
	}
	server.Evict(digests[4444])
	missing, err := client.FindMissing(t.Context(), "", digests)
	if err != nil {
		t.Fatal(err)
	}
	if len(missing) != 1 || missing[0] != digests[4444] {
		t.Errorf("missing are %v, want %v alone", missing, digests[4444])
	}
	if calls := server.Calls()["FindMissingBlobs"]; calls != 3 {
		t.Errorf("%d calls were made for 9000 digests, want 3", calls)
	}
}

func TestEndedCallersAreLetGo(t *testing.T) {
	server := castest.Start(t)
	digest := server.Put(noise(10, 100))
	server.SetRules(castest.Rules{Fail: func(string) error { return status.Error(codes.Unavailable, "away") }})
	client := server.Dial(t, cas.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for name, call := range map[string]func() error{
		"read all": func() error { _, err := client.ReadAll(ctx, cas.Blob{Digest: digest}); return err },
		"read":     func() error { _, err := client.Stream(ctx, cas.Blob{Digest: digest}, 0); return err },
		"missing":  func() error { _, err := client.FindMissing(ctx, "", []cas.Digest{digest}); return err },
	} {
		if err := call(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got error %v, want the caller's own deadline", name, err)
		}
	}
}
