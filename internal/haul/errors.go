package haul

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/pushspec"
)

// Class is what kind of failure a haul met, and with it whether another try
// makes sense.
type Class string

const (
	// Evicted means that bytes that the image needs are nowhere any more. Final.
	Evicted Class = "evicted"
	// Denied means that the registry or the cache refused the credentials. Final.
	Denied Class = "denied"
	// Malformed means that the spec, or the bytes that it names, are wrong. Final.
	Malformed Class = "malformed"
	// Rejected means that the registry does not take the image. Final.
	Rejected Class = "rejected"
	// Taken means that a tag points to another image and must not be written over. Final.
	Taken Class = "taken"
	// Unavailable means that the registry or the cache could not be reached, or was in
	// trouble. To be tried again.
	Unavailable Class = "unavailable"
	// Throttled means that the registry asks for patience. To be tried again, RetryAfter
	// later.
	Throttled Class = "throttled"
)

// Final tells whether another try would fail in the same way.
func (c Class) Final() bool { return c != Unavailable && c != Throttled }

// Error is a haul that failed. Its text is for the person whose image it is, and
// wants nothing but the target and the destination before it.
type Error struct {
	Class Class
	// RetryAfter is how long to wait at least before another try, or zero.
	RetryAfter time.Duration
	// Source says that it is about where the bytes come from, the remote cache or the
	// base's registry: the destination has no part in it.
	Source bool
	Text   string
	Err    error
}

func (e *Error) Error() string { return e.Text }

func (e *Error) Unwrap() error { return e.Err }

// what names something with a digest for people: "manifest sha256:… (1.2 KiB)".
func what(role string, digest v1.Hash, size int64) string {
	return fmt.Sprintf("%s %s (%s)", role, digest, humanize.IBytes(uint64(max(size, 0))))
}

// what names a blob for people: "layer sha256:… (12 MiB) of //app:layer".
func (s *shipment) what(blob pushspec.Blob) string {
	text := what(s.role(blob), blob.Digest, blob.Size)
	if target := blob.Target(); target != "" {
		text += " of " + target
	}
	return text
}
