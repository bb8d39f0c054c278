package copies

import (
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/pushspec"
)

// Command is the command of an invocation that copies, as Bazel's have build or run.
const Command = "copy"

// maxDestinations bounds the repositories that one request copies to.
const maxDestinations = 32

// Request asks for copies of one image.
type Request struct {
	// Client is who asks.
	Client       string
	From         Reference
	Destinations []pushspec.Destination
	// Referrers has what refers to the image come along.
	Referrers bool
}

// Queued is what a daemon has taken upon itself.
type Queued struct {
	// Invocation is what the copies are known by, as a build's pushes are.
	Invocation string
	Digest     v1.Hash
	// Referrers counts the manifests that come along, and Jobs the copies.
	Referrers, Jobs int
}

// Destinations reads references of the form HOST/REPOSITORY[:TAG], which all get the
// tags given. A repository that is named twice is one destination, with the tags of both.
func Destinations(references, tags []string, overwrite pushspec.Overwrite) ([]pushspec.Destination, error) {
	if len(references) == 0 {
		return nil, errors.New("at least one destination must be given")
	}
	if len(references) > maxDestinations {
		return nil, fmt.Errorf("%d destinations were given, but at most %d are allowed", len(references), maxDestinations)
	}
	for _, tag := range tags {
		if err := pushspec.CheckTag(tag); err != nil {
			return nil, err
		}
	}
	switch overwrite {
	case pushspec.OverwriteAlways:
		overwrite = "" // which goes without saying
	case "", pushspec.OverwriteNever:
	default:
		return nil, fmt.Errorf("overwrite must be always or never, not %q", overwrite)
	}
	var all []pushspec.Destination
	for _, text := range references {
		to, err := ParseReference(text)
		if err == nil && to.digest != (v1.Hash{}) {
			err = fmt.Errorf("%q must not have a digest: the source has it", text)
		}
		if err != nil {
			return nil, fmt.Errorf("the destination: %w", err)
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
