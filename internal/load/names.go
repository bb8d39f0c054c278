package load

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/pushspec"
)

// Name returns the full form of a name, as runtimes keep it: "app" becomes
// docker.io/library/app:latest.
func Name(text string) (string, error) {
	tag, err := name.NewTag(text)
	if err != nil {
		return "", fmt.Errorf("%q must be the name of an image, such as app:latest or ghcr.io/acme/app:dev: %w", text, err)
	}
	return runtimesName(tag.Name()), nil
}

// Names returns the full names of a destination whose variables are filled in. A
// destination without a tag is named by its digest.
func Names(to pushspec.Destination, root v1.Hash) ([]string, error) {
	repository, err := name.NewRepository(to.Registry + "/" + to.Repository)
	if err != nil {
		return nil, fmt.Errorf("name the image: %w", err)
	}
	if len(to.Tags) == 0 {
		return []string{runtimesName(repository.Digest(root.String()).Name())}, nil
	}
	var names []string
	for _, tag := range to.Tags {
		if full := runtimesName(repository.Tag(tag).Name()); !slices.Contains(names, full) {
			names = append(names, full)
		}
	}
	return names, nil
}

// runtimesName is a reference with the name that runtimes use for Docker Hub.
func runtimesName(reference string) string {
	if rest, ofHub := strings.CutPrefix(reference, name.DefaultRegistry+"/"); ofHub {
		return "docker.io/" + rest
	}
	return reference
}
