package copies

import (
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/pushspec"
)

// Command is what invocations of copies are of, in the place of Bazel's.
const Command = "copy"

// MaxDestinations bounds the places that one request copies to.
const MaxDestinations = 32

// Request asks for copies of one image.
type Request struct {
	// Client is who asks.
	Client       string
	From         Place
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

// Destinations reads places of the form HOST/REPOSITORY[:TAG], which all get the tags
// given. A place that is named twice is one, with the tags of both.
func Destinations(places, tags []string, overwrite pushspec.Overwrite) ([]pushspec.Destination, error) {
	if len(places) == 0 {
		return nil, errors.New("no destination is named")
	}
	if len(places) > MaxDestinations {
		return nil, fmt.Errorf("%d destinations are over the limit of %d", len(places), MaxDestinations)
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
	for _, text := range places {
		place, err := ParsePlace(text)
		if err == nil && place.Digest != (v1.Hash{}) {
			err = fmt.Errorf("%q has a digest, which is the source's to say", text)
		}
		if err != nil {
			return nil, fmt.Errorf("the destination: %w", err)
		}
		i := slices.IndexFunc(all, func(d pushspec.Destination) bool {
			return d.Registry == place.Registry && d.Repository == place.Repository
		})
		if i < 0 {
			i = len(all)
			all = append(all, pushspec.Destination{Registry: place.Registry, Repository: place.Repository, Overwrite: overwrite})
		}
		for _, tag := range append([]string{place.Tag}, tags...) {
			if tag != "" && !slices.Contains(all[i].Tags, tag) {
				all[i].Tags = append(all[i].Tags, tag)
			}
		}
	}
	return all, nil
}
