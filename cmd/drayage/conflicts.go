package main

import (
	"errors"
	"fmt"

	"github.com/drayage/drayage/pushspec"
)

// conflicts finds the tags that two of the specs want for two images: the last one
// would have such a tag, whichever that is. Destinations that cannot be filled in are
// left to their pushes, which fail.
func conflicts(specs []*pushspec.Spec, vars map[string]string) error {
	first := map[string]*pushspec.Spec{}
	var found []error
	for _, spec := range specs {
		destination, err := spec.Destination.Stamp(vars)
		if err != nil {
			continue
		}
		registry, repository := destination.Address()
		for _, tag := range destination.Tags {
			name := registry + "/" + repository + ":" + tag
			other := first[name]
			if other == nil {
				first[name] = spec
				continue
			}
			if other.Root != spec.Root {
				found = append(found, fmt.Errorf("nothing was pushed: %s and %s both write %s, but their images differ: %s and %s. Give each its own tag or repository, or push only one of them",
					other.Target, spec.Target, name, other.Root, spec.Root))
			}
		}
	}
	return errors.Join(found...)
}
