package load

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	platforms "github.com/drayage/drayage/internal/platform"
	"github.com/drayage/drayage/pushspec"
)

// allPlatforms asks [Select] for the images of every platform.
const allPlatforms = "all"

// HostPlatform is the platform of containers on this machine. The system is always
// linux: on a Mac, containers run in a virtual machine.
func HostPlatform() string { return "linux/" + runtime.GOARCH }

// Select selects the part of a spec to load. From an index it takes the image for a
// platform ("os/architecture" or "os/architecture/variant"), or all images. Without a
// platform it takes the image for the host, or an image without an index, whatever
// its platform is.
func Select(from *pushspec.Spec, platform string) (*Image, error) {
	s, err := open(from)
	if err != nil {
		return nil, err
	}
	leaves := s.leaves()
	var there []Runnable
	for _, leaf := range leaves {
		r, runs, err := s.runnable(leaf)
		if err != nil {
			return nil, err
		}
		if runs {
			there = append(there, r)
		}
	}
	isIndex := s.manifests[s.Root].MediaType.IsIndex()
	if platform == allPlatforms || platform == "" && !isIndex {
		return s.image(leaves, there), nil
	}
	found, err := choose(there, platform)
	if err != nil {
		return nil, err
	}
	return s.image([]v1.Hash{found.Manifest.Digest}, []Runnable{found}), nil
}

// choose finds the image for a platform.
func choose(there []Runnable, platform string) (Runnable, error) {
	wanted := HostPlatform()
	if platform != "" {
		wanted = platform
	}
	p, err := v1.ParsePlatform(wanted)
	if err != nil || p.OS == "" || p.Architecture == "" {
		return Runnable{}, fmt.Errorf("the platform %q must be os/architecture, os/architecture/variant or %s", wanted, allPlatforms)
	}
	for _, exactly := range []bool{true, false} {
		for _, r := range there {
			if fits(r.Platform, *p, exactly) {
				return r, nil
			}
		}
	}
	var names []string
	for _, r := range there {
		if name := platforms.Name(r.Platform); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return Runnable{}, fmt.Errorf("the push spec has no image for %s, and none for any other platform", wanted)
	}
	return Runnable{}, fmt.Errorf("the push spec has no image for %s: choose one with --platform (%s), or load all with --platform=%s",
		wanted, strings.Join(names, ", "), allPlatforms)
}

// fits tells whether an image's platform is the wanted one. A wanted platform without
// a variant matches every variant, unless exactly is set.
func fits(has, wanted v1.Platform, exactly bool) bool {
	has, wanted = plain(has), plain(wanted)
	return has.OS == wanted.OS && has.Architecture == wanted.Architecture &&
		(has.Variant == wanted.Variant || wanted.Variant == "" && !exactly)
}

// plain leaves out the default variant.
func plain(p v1.Platform) v1.Platform {
	if p.Architecture == "arm64" && p.Variant == "v8" {
		p.Variant = ""
	}
	return p
}
