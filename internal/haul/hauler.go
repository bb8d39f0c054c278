package haul

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/clock"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

const (
	// DefaultGrace is how long a blob that the CAS does not have is waited for:
	// builds upload in the background, and tell of a file before it has arrived
	// (bazel#23250).
	DefaultGrace = 10 * time.Second

	// defaultBlobsAtOnce is how many blobs of one image are copied at once.
	defaultBlobsAtOnce = 4
)

// CAS is where a build's blobs are. [cas.Client] is one.
type CAS interface {
	// ReadAll reads and verifies a small blob.
	ReadAll(ctx context.Context, blob cas.Blob) ([]byte, error)
	// Stream reads a blob from offset on, without verifying it.
	Stream(ctx context.Context, blob cas.Blob, offset int64) (io.ReadCloser, error)
	// FindMissing tells which digests the instance lacks, and renews the others.
	FindMissing(ctx context.Context, instance string, digests []cas.Digest) ([]cas.Digest, error)
}

// Options are a [Hauler]'s.
type Options struct {
	// CAS may be nil, for specs whose blobs are all elsewhere.
	CAS CAS

	// Registries speaks to the registries. It is required.
	Registries *registry.Client

	// Grace is how long a blob that the CAS does not have is waited for. Defaults
	// to DefaultGrace; below zero there is none.
	Grace time.Duration

	// BlobsAtOnce is how many blobs of one image are copied at once. Defaults to
	// defaultBlobsAtOnce.
	BlobsAtOnce int

	// Create, if set, makes a repository that does not exist. It says whether it is for
	// such a registry.
	Create func(ctx context.Context, registry, repository string) (bool, error)

	// Streamed, if set, counts the bytes that are read out of registries.
	Streamed *atomic.Int64

	// Now and Wait are the clock. They default to the real one.
	Now  func() time.Time
	Wait func(ctx context.Context, d time.Duration) error

	Logger zerolog.Logger
}

// Hauler hauls images. It is safe for concurrent use, and one should do all of a
// process's hauls: it knows what they share.
type Hauler struct {
	opts     Options
	presence *presence
	listed   *presence // referrers, in the repositories where they are listed
	shown    shown
	uploads  *uploads
	// referrerLocks are of the indexes of referrers.
	referrerLocks *locks
	tagLists      *tagLists
}

// New makes a hauler.
func New(opts Options) (*Hauler, error) {
	if opts.Registries == nil {
		return nil, errors.New("make hauler: no registry client was given")
	}
	if opts.Grace == 0 {
		opts.Grace = DefaultGrace
	}
	if opts.BlobsAtOnce <= 0 {
		opts.BlobsAtOnce = defaultBlobsAtOnce
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Wait == nil {
		opts.Wait = clock.Wait
	}
	return &Hauler{
		opts:          opts,
		presence:      newPresence(opts.Now, presenceLimit, presenceLife),
		listed:        newPresence(opts.Now, presenceLimit, presenceLife),
		shown:         newShown(opts.Now),
		uploads:       newUploads(),
		referrerLocks: newLocks(),
		tagLists:      newTagLists(opts.Now),
	}, nil
}

// LastProgress is when things last went on with a registry: it took bytes of an upload, or
// gave an answer that was not one of distress. It is zero where they never did.
func (h *Hauler) LastProgress(registry string) time.Time {
	return h.opts.Registries.LastProgress(registry)
}

// Request is one image to one repository.
type Request struct {
	// Spec is validated: [pushspec.Decode] has.
	Spec *pushspec.Spec
	// Repository and Tags are the spec's, with their variables filled in.
	Repository string
	Tags       []string
	// KeepTags are those of the tags that must not be written over: if one points to
	// another image none of the tags is written.
	KeepTags []string
	// ReadBack are those of the tags that are looked up after they are written.
	ReadBack []string
	// Stage brings the image by its digest alone. None of the tags is written, and none is
	// looked up but those of KeepTags.
	Stage bool
	// Known says that the repository has had the image: a haul that stages it asks for the
	// image first, and not for one of its blobs.
	Known bool
	// Instance is that of the CAS that the build used.
	Instance string
	// Invocation is the build's; hauls of several builds take turns.
	Invocation string
	// Copied says that the image is copied from the repository that its blobs are in,
	// and that this is no base's. It is for messages.
	Copied bool
	// LayersInPlace says that the registry reads the CAS itself: layers that are in
	// the CAS are not sent.
	LayersInPlace bool
	// Claims are those of the processes that write to the same registries. Defaults to
	// those of a process that does so alone.
	Claims Claims
	// Client is who asks for the push.
	Client string
	// MayMount, if set, is asked before a blob is mounted from a repository that the
	// spec does not name, unless the client has shown the blob's bytes: what the hauler
	// remembers of others' pushes gives nobody more than they have. It must be quick, and
	// safe for concurrent use.
	MayMount func(repository string) bool
	// Waits, if set, is told when the haul begins to wait for the registry of a base's
	// layer, and then whether that answered.
	Waits func(registry string) (over func(answered bool))
}

// Result is what a haul did.
type Result struct {
	// AlreadyThere says that the registry had the image, under all tags.
	AlreadyThere bool
	// Tags are those that were asked for. An image that is staged has none.
	Tags []Tag
	// Right are the tags that point to the image now, also where the haul failed at others.
	Right []string
	// Uploaded, Mounted and Present count the blobs that were sent, that were
	// mounted from another repository, and that were there. Of an image that was
	// there as a whole no blobs are counted.
	Uploaded, Mounted, Present Count
	// Requests counts the requests to registries, those for tokens apart.
	Requests int
}

// Tag is a tag of the image.
type Tag struct {
	Name string
	// Previous is the digest that it pointed to before, or "" for none.
	Previous string
}

func tagNames(tags []Tag) []string {
	names := make([]string, len(tags))
	for i, tag := range tags {
		names[i] = tag.Name
	}
	return names
}

// Count counts blobs.
type Count struct {
	Blobs int
	// Bytes is their size.
	Bytes int64
}

func (c *Count) add(bytes int64) {
	c.Blobs++
	c.Bytes += bytes
}
