package load

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	contentpb "github.com/containerd/containerd/api/services/content/v1"
	diffpb "github.com/containerd/containerd/api/services/diff/v1"
	imagespb "github.com/containerd/containerd/api/services/images/v1"
	leasespb "github.com/containerd/containerd/api/services/leases/v1"
	snapshotspb "github.com/containerd/containerd/api/services/snapshots/v1"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/internal/clock"
	"github.com/drayage/drayage/pushspec"
)

const (
	// DefaultSnapshotter is the snapshotter of containerd's own tools.
	DefaultSnapshotter = "overlayfs"

	// leaseLife is how long containerd keeps the blobs of a load that failed. The next
	// try continues from them.
	leaseLife = 24 * time.Hour

	// blobsAtOnce is how many blobs of one image are moved at once.
	blobsAtOnce = 4

	// chunk is the size in bytes of a message with a blob's bytes. containerd takes
	// 16 MiB.
	chunk = 1 << 20
)

// Options are the options of a [Containerd].
type Options struct {
	// Address is the path of containerd's socket. Defaults to DefaultAddress.
	Address string
	// Namespace of the image in containerd. Defaults to DefaultNamespace.
	Namespace string
	// Snapshotter is the one that layers are unpacked for. Defaults to DefaultSnapshotter.
	Snapshotter string
	// Wait waits between tries. Defaults to the real clock.
	Wait func(ctx context.Context, d time.Duration) error

	Logger zerolog.Logger
}

// Containerd loads images into containerd's content store.
type Containerd struct {
	opts      Options
	conn      *grpc.ClientConn
	content   contentpb.ContentClient
	images    imagespb.ImagesClient
	leases    leasespb.LeasesClient
	snapshots snapshotspb.SnapshotsClient
	diff      diffpb.DiffClient
}

// DialContainerd makes a client. The client connects at its first call.
func DialContainerd(opts Options) (*Containerd, error) {
	if opts.Address == "" {
		opts.Address = DefaultAddress
	}
	if opts.Namespace == "" {
		opts.Namespace = DefaultNamespace
	}
	if opts.Snapshotter == "" {
		opts.Snapshotter = DefaultSnapshotter
	}
	if opts.Wait == nil {
		opts.Wait = clock.Wait
	}
	conn, err := grpc.NewClient("unix:"+socketPath(opts.Address),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
	if err != nil {
		return nil, fmt.Errorf("connect to containerd at %s: %w", opts.Address, err)
	}
	return &Containerd{
		opts:      opts,
		conn:      conn,
		content:   contentpb.NewContentClient(conn),
		images:    imagespb.NewImagesClient(conn),
		leases:    leasespb.NewLeasesClient(conn),
		snapshots: snapshotspb.NewSnapshotsClient(conn),
		diff:      diffpb.NewDiffClient(conn),
	}, nil
}

// Close ends the connection.
func (c *Containerd) Close() error { return c.conn.Close() }

// Load writes an image to the content store: first the blobs that the store lacks,
// then the manifests. Then it unpacks the layers, if containerd can. It sets the
// names last; a name of another image is moved to this one.
func (c *Containerd) Load(ctx context.Context, i *Image, names []string, from Sources) (Result, error) {
	ctx = metadata.AppendToOutgoingContext(ctx, "containerd-namespace", c.opts.Namespace)
	leased, release, err := c.lease(ctx)
	if err != nil {
		return Result{}, err
	}
	result, err := c.load(leased, i, names, from)
	if err != nil {
		return result, err
	}
	return result, release()
}

func (c *Containerd) load(ctx context.Context, i *Image, names []string, from Sources) (Result, error) {
	result := Result{Root: i.Root.Digest}
	moved := make([]bool, len(i.Blobs))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(blobsAtOnce)
	for n, blob := range i.Blobs {
		g.Go(func() (err error) {
			moved[n], err = c.put(gctx, blob, nil, from)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return result, err
	}
	for n, blob := range i.Blobs {
		result.count(moved[n], blob.Size)
	}
	for _, m := range i.Manifests {
		labels, err := children(m)
		if err != nil {
			return result, err
		}
		sent, err := c.put(ctx, pushspec.Blob{Descriptor: m}, labels, from)
		if err == nil && !sent {
			err = c.label(ctx, m, labels)
		}
		if err != nil {
			return result, err
		}
		result.count(sent, m.Size)
	}
	if err := c.unpackAll(ctx, i, &result); err != nil {
		return result, err
	}
	for _, name := range names {
		if err := c.name(ctx, name, i.Root); err != nil {
			return result, err
		}
	}
	return result, nil
}

func (r *Result) count(moved bool, bytes int64) {
	if moved {
		r.Moved.add(bytes)
	} else {
		r.There.add(bytes)
	}
}

// lease makes containerd keep what the context's calls write or find, until
// release. Without the lease, containerd's garbage collector could delete a layer
// before a manifest refers to it.
func (c *Containerd) lease(ctx context.Context) (leased context.Context, release func() error, err error) {
	lease, err := c.leases.Create(ctx, &leasespb.CreateRequest{
		ID:     "drayage-" + rand.Text(),
		Labels: map[string]string{"containerd.io/gc.expire": time.Now().Add(leaseLife).UTC().Format(time.RFC3339)},
	})
	if err != nil {
		return nil, nil, c.failure("make a lease", err)
	}
	id := lease.GetLease().GetID()
	return metadata.AppendToOutgoingContext(ctx, "containerd-lease", id), func() error {
		if _, err := c.leases.Delete(ctx, &leasespb.DeleteRequest{ID: id}); err != nil && status.Code(err) != codes.NotFound {
			return c.failure("end the lease", err)
		}
		return nil
	}, nil
}

// name lets a name point to an image.
func (c *Containerd) name(ctx context.Context, name string, root v1.Descriptor) error {
	image := &imagespb.Image{Name: name, Target: wireDescriptor(root)}
	_, err := c.images.Create(ctx, &imagespb.CreateImageRequest{Image: image})
	if status.Code(err) == codes.AlreadyExists {
		_, err = c.images.Update(ctx, &imagespb.UpdateImageRequest{Image: image, UpdateMask: mask("target")})
	}
	if err != nil {
		return c.failure("name the image "+name, err)
	}
	return nil
}

// refusal is an error that containerd answered with.
type refusal struct {
	// text is for people; empty until it is known what was attempted.
	text string
	err  error
}

func (r *refusal) Error() string {
	if r.text == "" {
		return r.err.Error()
	}
	return r.text
}

func (r *refusal) Unwrap() error { return r.err }

// refused is the code of containerd's answer, or OK if the error is not containerd's.
func refused(err error) codes.Code {
	if r, ok := errors.AsType[*refusal](err); ok {
		return status.Code(r.err)
	}
	return codes.OK
}

// failure says what containerd did not do, why, and what to do.
func (c *Containerd) failure(verb string, err error) error {
	advice := ""
	switch status.Code(err) {
	case codes.Unavailable:
		if isLocked(err) {
			advice = ": another client has been writing it all the time; look for a pull that hangs"
			break
		}
		advice = ": check that containerd runs, that --address is its socket, and that this user may use it (root may); or load with --to=docker"
	case codes.Unimplemented:
		advice = ": containerd must be 1.6 or newer"
	}
	return &refusal{
		text: fmt.Sprintf("%s in containerd at %s: %s%s", verb, c.opts.Address, status.Convert(err).Message(), advice),
		err:  err,
	}
}
