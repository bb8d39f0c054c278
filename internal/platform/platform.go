// Package platform compares the platforms of images: operating system, architecture
// and variant, in the terms of the OCI image spec.
package platform

import (
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Name returns a platform as "os/architecture[/variant]". Parts that the platform
// does not have are left out. The version of the system is not in the name, although
// it tells Windows images apart.
func Name(p v1.Platform) string {
	return strings.Join(slices.DeleteFunc([]string{p.OS, p.Architecture, p.Variant}, func(part string) bool { return part == "" }), "/")
}

// Plain returns a platform in the OCI image spec's terms, without the default
// variant. It knows the other names that people and tools use, as containerd does.
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

// Fill returns the platform of an image: the config's, with what it lacks from the
// index that lists the image. An index that names another system or architecture is
// ignored.
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

// Carries tells whether a base can be below an image for the target platform: the
// platforms are equal, or the target's processors run the base's programs too. A
// field that the base does not set matches everything.
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
	// Bazel's platforms have no name for other variants, so such a base is chosen on purpose.
	return true
}

// generation is the number in a variant of arm, or 0, which matches everything.
func generation(variant string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(variant, "v"))
	if err != nil {
		return 0
	}
	return n
}
