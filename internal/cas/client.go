package cas

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"github.com/rs/zerolog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/drayage/drayage/internal/clock"
)

const (
	// connections is enough for the streams of several large layers not to
	// share one connection's flow control.
	connections = 2

	// defaultIdleTimeout is how long a stream may deliver nothing.
	defaultIdleTimeout = 30 * time.Second

	// defaultAttempts is how often a call without progress is made. With the back-off
	// in between, the tries outlast a restart of the server.
	defaultAttempts = 10

	// streamWindow and connWindow bound the bytes that the server may send ahead
	// of the reader, and with them the memory of a slow one.
	streamWindow = 1 << 20
	connWindow   = 4 << 20

	// maxMessage bounds one received message. Servers send ByteStream chunks of
	// up to 2 MiB and batches of up to maxBatch.
	maxMessage = 8 << 20
)

// Options are the options of a [Client].
type Options struct {
	// Headers go with every call: an API key, for example.
	Headers map[string]string

	// PerRPC adds further credentials to every call. It may be nil.
	PerRPC credentials.PerRPCCredentials

	// IdleTimeout ends a stream that delivers nothing, and a new one begins.
	// Defaults to half a minute.
	IdleTimeout time.Duration

	// Attempts bounds the tries of a call that makes no progress.
	// Defaults to 10.
	Attempts int

	// Wait waits between tries. Defaults to a timer.
	Wait func(ctx context.Context, d time.Duration) error

	Logger zerolog.Logger
}

// Client reads from one remote cache. It is safe for concurrent use.
type Client struct {
	opts  Options
	conns []*grpc.ClientConn
	next  atomic.Uint32

	// lifetime ends with Close; calls that several callers share live in it.
	lifetime context.Context
	end      context.CancelFunc
	shared   sync.WaitGroup

	limits  limits
	reads   *batcher[batchKey, *batchRead]
	missing *batcher[batchKey, *missingQuery]
}

// Dial makes a client of the remote cache at address: grpc://host:port, grpcs://host:port
// or unix:/path. It does not wait for a connection.
func Dial(address string, opts Options) (*Client, error) {
	target, transport, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	if opts.IdleTimeout <= 0 {
		opts.IdleTimeout = defaultIdleTimeout
	}
	if opts.Attempts <= 0 {
		opts.Attempts = defaultAttempts
	}
	if opts.Wait == nil {
		opts.Wait = clock.Wait
	}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithInitialWindowSize(streamWindow),
		grpc.WithInitialConnWindowSize(connWindow),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		// Servers may close a connection that is pinged more often than every five
		// minutes.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5 * time.Minute, Timeout: 20 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
			MinConnectTimeout: 10 * time.Second,
		}),
	}
	if len(opts.Headers) > 0 {
		dial = append(dial, grpc.WithPerRPCCredentials(headerCredentials(opts.Headers)))
	}
	if opts.PerRPC != nil {
		dial = append(dial, grpc.WithPerRPCCredentials(opts.PerRPC))
	}

	c := &Client{opts: opts}
	c.lifetime, c.end = context.WithCancel(context.Background())
	c.reads = newBatcher(&c.shared, parallelBatches, takeReads, c.sendReads)
	c.missing = newBatcher(&c.shared, 1, takeMissing, c.sendMissing)
	for range connections {
		conn, err := grpc.NewClient(target, dial...)
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("dial remote cache %s: %w", address, err)
		}
		c.conns = append(c.conns, conn)
	}
	return c, nil
}

// Close ends every call, and waits until the shared calls have ended.
func (c *Client) Close() error {
	c.end()
	c.shared.Wait()
	var first error
	for _, conn := range c.conns {
		if err := conn.Close(); err != nil && first == nil {
			first = fmt.Errorf("close connection to the remote cache: %w", err)
		}
	}
	return first
}

func (c *Client) conn() *grpc.ClientConn {
	return c.conns[int(c.next.Add(1))%len(c.conns)]
}

func (c *Client) storage() repb.ContentAddressableStorageClient {
	return repb.NewContentAddressableStorageClient(c.conn())
}

// pause waits before try number attempt, which counts from 1: as long as the
// server asked, or else longer each time.
func (c *Client) pause(ctx context.Context, attempt int, asked time.Duration) error {
	delay := min(100*time.Millisecond<<min(attempt-1, 6), 5*time.Second)
	delay = max(asked, delay/2+rand.N(delay/2))
	return c.opts.Wait(ctx, delay)
}

// headerCredentials sends fixed headers, over plain text too: a user who configures
// a grpc:// address and a key has decided so.
type headerCredentials map[string]string

func (h headerCredentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return h, nil
}

func (headerCredentials) RequireTransportSecurity() bool { return false }
