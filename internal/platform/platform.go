// Package platform compares what images are for: systems, processors and their
// variants, in the words of the OCI image spec.
package platform

import (
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Name is a platform as "os/architecture[/variant]", of which a part may be missing.
// The version of the system, which tells Windows images apart, is not in it.
func Name(p v1.Platform) string {
	return strings.Join(slices.DeleteFunc([]string{p.OS, p.Architecture, p.Variant}, func(part string) bool { return part == "" }), "/")
}

// Plain is a platform in the OCI image spec's words, without a variant that goes
// without saying. People and tools have other words, which containerd takes as well.
func Plain(p v1.Platform) v1.Platform {
	p.OS, p.Architecture, p.Variant = strings.ToLower(p.OS), strings.ToLower(p.Architecture), strings.ToLower(p.Variant)
	switch p.Architecture {
	case "x86_64", "x86-64":
		p.Architecture = "amd64"
	case "i386", "i686", "x86":
		p.Architecture = "386"
	case "aarch64":
		p.Architecture = "arm64"
	case "armhf":
		p.Architecture, p.Variant = "arm", "v7"
	case "armel":
		p.Architecture, p.Variant = "arm", "v6"
	}
	switch {
	case p.Architecture == "arm" && p.Variant == "":
		p.Variant = "v7"
	case p.Architecture == "arm64" && p.Variant == "v8":
		p.Variant = ""
	}
	return p
}

// Fill is what an image is for: what its config says, and where that says nothing
// what the index says that lists it. An index that speaks of another system or
// processor is not heard.
func Fill(config, index v1.Platform) v1.Platform {
	c, i := Plain(config), Plain(index)
	if c.OS != "" && i.OS != "" && c.OS != i.OS || c.Architecture != "" && i.Architecture != "" && c.Architecture != i.Architecture {
		return config
	}
	for _, field := range []struct {
		to   *string
		from string
	}{
		{&config.OS, index.OS},
		{&config.Architecture, index.Architecture},
		{&config.Variant, index.Variant},
		{&config.OSVersion, index.OSVersion},
	} {
		if *field.to == "" {
			*field.to = field.from
		}
	}
	if len(config.OSFeatures) == 0 {
		config.OSFeatures = index.OSFeatures
	}
	if len(config.Features) == 0 {
		config.Features = index.Features
	}
	return config
}

// Carries tells whether what is built for a platform can be meant to go upon an image
// for another: it is the same, or one that the target's processors run as well. What a
// base does not say of itself is no obstacle.
func Carries(base, target v1.Platform) bool {
	base, target = Plain(base), Plain(target)
	switch {
	case base.OS != "" && base.OS != target.OS:
		return false
	case base.Architecture == "":
		return true
	case base.Architecture != target.Architecture:
		return false
	case base.Architecture == "arm":
		// A processor runs what is for its predecessors.
		return generation(base.Variant) <= generation(target.Variant)
	}
	// Bazel's platforms have no word for other variants: who takes such a base means it.
	return true
}

// generation is the number in a variant of arm. One that is none goes with all.
func generation(variant string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(variant, "v"))
	if err != nil {
		return 0
	}
	return n
}
