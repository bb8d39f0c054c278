package pull

import (
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Name is the image's platform as a file or target name: "linux_arm64_v8".
func (i Image) Name() string {
	return strings.NewReplacer("/", "_", ".", "_").Replace(platformName(i.Platform))
}

func (i Image) is(wanted string) bool { return isPlatform(i.Platform, wanted) }

// platformName is a platform without the OS version, which tells Windows images
// apart that a Bazel platform does not.
func platformName(p v1.Platform) string {
	text := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		text += "/" + p.Variant
	}
	return text
}

// isPlatform tells whether p is what is wanted. A wanted platform without a
// variant takes any: "linux/arm64" takes linux/arm64/v8.
func isPlatform(p v1.Platform, wanted string) bool {
	return platformName(p) == wanted || p.OS+"/"+p.Architecture == wanted
}
