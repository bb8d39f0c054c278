package dispatch

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/copies"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

const (
	// copyTime bounds how long the manifests of an image are read.
	copyTime = 2 * time.Minute
	// maxCopySpec bounds the push spec of a copy, in bytes: it is kept with its job.
	maxCopySpec = 8 << 20
)

// CopyQueue makes what is to be copied durable.
type CopyQueue interface {
	Enqueue(ctx context.Context, jobs []store.Job) error
	SaveInvocation(ctx context.Context, invocation store.Invocation) error
}

// Copier makes jobs of the copies that operators ask for.
type Copier struct {
	Registries *registry.Client
	Queue      CopyQueue
	Policy     Policy
	Logger     zerolog.Logger
}

// Copy reads what an image consists of, and makes a job of each copy. When it returns
// nil they will be done. The error is an [*admission.DeniedError] where the policy does
// not allow one of them; then none is.
func (c *Copier) Copy(ctx context.Context, request copies.Request) (copies.Queued, error) {
	source := request.From.Registry + "/" + request.From.Repository
	for _, to := range request.Destinations {
		_, err := c.Policy.Admit(admission.Push{
			Client: request.Client, Target: copyTarget(request.From), Repository: to.Registry + "/" + to.Repository, Tags: to.Tags, Sources: []string{source},
		})
		if err != nil {
			return copies.Queued{}, err
		}
	}
	invocation := store.Invocation{
		ID: "copy-" + strings.ToLower(rand.Text()), Command: copies.Command, Owner: request.Client, Started: time.Now(),
	}
	reading, cancel := context.WithTimeout(ctx, copyTime)
	defer cancel()
	image, err := copies.Read(reading, request.From, copies.Options{Registries: c.Registries, Referrers: request.Referrers, Invocation: invocation.ID})
	if err != nil {
		return copies.Queued{}, err
	}
	var jobs []store.Job
	for _, to := range request.Destinations {
		data, err := copySpec(image, to)
		if err != nil {
			return copies.Queued{}, err
		}
		jobs = append(jobs, store.Job{
			Invocation: invocation.ID, Target: copyTarget(request.From), Client: request.Client, Owner: request.Client, Spec: store.SpecRef{Inline: data},
		})
	}
	// Before the jobs, whose rows say what it is; and after them, since one that is
	// finished has all of its jobs.
	if err := c.Queue.SaveInvocation(ctx, invocation); err != nil {
		return copies.Queued{}, err
	}
	if err := c.Queue.Enqueue(ctx, jobs); err != nil {
		return copies.Queued{}, err
	}
	invocation.Finished, invocation.ExitCode = true, "SUCCESS"
	if err := c.Queue.SaveInvocation(ctx, invocation); err != nil {
		return copies.Queued{}, err
	}
	c.Logger.Info().Str("invocation", invocation.ID).Str("client", request.Client).Str("source", source).Str("digest", image.Digest.String()).
		Int("copies", len(jobs)).Msg("copies of an image are queued")
	return copies.Queued{Invocation: invocation.ID, Digest: image.Digest, Referrers: image.Referrers, Jobs: len(jobs)}, nil
}

// copyTarget stands where a build's pushes have their label.
func copyTarget(from copies.Reference) string { return "copy of " + from.String() }

func copySpec(image *copies.Image, to pushspec.Destination) ([]byte, error) {
	spec, err := image.Spec(to)
	if err != nil {
		return nil, err
	}
	data, err := spec.Encode()
	if err != nil {
		return nil, err
	}
	if len(data) > maxCopySpec {
		return nil, fmt.Errorf("copy to %s/%s: the manifests take %d bytes, and the daemon keeps at most %d with a job: copy the image without --by-daemon", to.Registry, to.Repository, len(data), maxCopySpec)
	}
	return data, nil
}
