package copies

import (
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/pushspec"
)

// Command is the command of an invocation that copies. Bazel's have build or run.
const Command = "copy"

// maxDestinations bounds the repositories that one request copies to.
const maxDestinations = 32

// Request asks for copies of one image.
type Request struct {
	// Client is the client that sent the request.
	Client       string
	From         Reference
	Destinations []pushspec.Destination
	// Referrers copies the image's referrers too.
	Referrers bool
}

// Queued says what the daemon will copy.
type Queued struct {
	// Invocation is the id of the copies, like that of a build's pushes.
	Invocation string
	Digest     v1.Hash
	// Referrers counts the manifests of referrers, and Jobs the copies.
	Referrers, Jobs int
}

// Destinations parses references of the form HOST/REPOSITORY[:TAG]. Each destination
// also gets the given tags. A repository that is named twice is one destination, with
// the tags of both.
func Destinations(references, tags []string, overwrite pushspec.Overwrite) ([]pushspec.Destination, error) {
	if len(references) == 0 {
		return nil, errors.New("at least one destination is needed")
	}
	if len(references) > maxDestinations {
		return nil, fmt.Errorf("%d destinations are over the limit of %d; send several requests", len(references), maxDestinations)
	}
	for _, tag := range tags {
		if err := pushspec.CheckTag(tag); err != nil {
			return nil, err
		}
	}
	switch overwrite {
	case pushspec.OverwriteAlways:
		overwrite = "" // the default
	case "", pushspec.OverwriteNever:
	default:
		return nil, fmt.Errorf("overwrite must be always or never, not %q", overwrite)
	}
	var all []pushspec.Destination
	for _, text := range references {
		to, err := ParseReference(text)
		if err == nil && to.digest != (v1.Hash{}) {
			err = fmt.Errorf("%q must not have a digest: only the source has one", text)
		}
		if err != nil {
			return nil, fmt.Errorf("destination: %w", err)
		}
		i := slices.IndexFunc(all, func(d pushspec.Destination) bool {
			return d.Registry == to.Registry && d.Repository == to.Repository
		})
		if i < 0 {
			i = len(all)
			all = append(all, pushspec.Destination{Registry: to.Registry, Repository: to.Repository, Overwrite: overwrite})
		}
		for _, tag := range append([]string{to.Tag}, tags...) {
			if tag != "" && !slices.Contains(all[i].Tags, tag) {
				all[i].Tags = append(all[i].Tags, tag)
			}
		}
	}
	return all, nil
}
