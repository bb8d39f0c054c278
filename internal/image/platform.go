package image

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// PlatformError says that a base is for another platform than the image upon it.
type PlatformError struct {
	// Base and Target are the platforms, as "os/architecture[/variant]".
	Base, Target string
}

func (e *PlatformError) Error() string {
	return fmt.Sprintf("the base is for %s, and the image for %s", e.Base, e.Target)
}

// CheckPlatform returns a [*PlatformError] if what is built for the target platform,
// "os/architecture[/variant]", cannot be meant to go upon the base. A base that does
// not say what it is for goes with all.
func (b *Base) CheckPlatform(target string) error {
	wanted, err := v1.ParsePlatform(target)
	if err != nil {
		return fmt.Errorf("platform %q is not of the form os/architecture", target)
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(b.Config))
	if err != nil {
		return fmt.Errorf("read config of the base: %w", err)
	}
	has := v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}
	if carries(plain(has), plain(*wanted)) {
		return nil
	}
	return &PlatformError{Base: strings.Trim(strings.Join([]string{has.OS, has.Architecture, has.Variant}, "/"), "/"), Target: target}
}

// carries tells whether what is built for a platform goes upon an image for another.
func carries(base, target v1.Platform) bool {
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

// plain is a platform in the words of the OCI image spec. People and tools have others,
// which containerd understands too.
func plain(p v1.Platform) v1.Platform {
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
	case "arm":
		if p.Variant == "" {
			p.Variant = "v7"
		}
	}
	return p
}
