package pull

import (
	"strings"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/platform"
)

// name is the image's platform as a file or target name: "linux_arm64_v8". Of an image
// in an index it is in the index's words, if that has any.
func (i Image) name() string {
	named := i.Platform
	if named.Variant == "" || i.listed.OS == "" || i.listed.Architecture == "" {
		return nameOf(named)
	}
	named.Variant = i.listed.Variant
	return nameOf(named)
}

// nameOf is a target name whatever is missing: that of an image that does not say what
// it is for is "_".
func nameOf(p v1.Platform) string {
	name := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		name += "/" + p.Variant
	}
	return strings.NewReplacer("/", "_", ".", "_").Replace(name)
}

func (i Image) is(wanted string) bool { return isPlatform(i.Platform, wanted) }

// isPlatform tells whether p is what is wanted. A wanted platform without a
// variant takes any: "linux/arm64" takes linux/arm64/v8.
func isPlatform(p v1.Platform, wanted string) bool {
	return platform.Name(p) == wanted || p.OS+"/"+p.Architecture == wanted || platform.Name(platform.Plain(p)) == plainName(wanted)
}

func plainName(name string) string {
	p, err := v1.ParsePlatform(name)
	if err != nil {
		return name
	}
	return platform.Name(platform.Plain(*p))
}

// settled tells whether an entry of an index says what its image is for. An arm without
// a variant leaves open for which of them.
func settled(listed v1.Platform) bool {
	return listed.OS != "" && listed.Architecture != "" && (listed.Architecture != "arm" || listed.Variant != "")
}

// runs tells whether there can be a container for a platform. What is no image to run,
// an attestation say, bears "unknown".
func runs(p v1.Platform) bool {
	return p.OS != "" && p.OS != "unknown"
}

// platformOf is what an image of an index is for: what the index says, and where it
// leaves that open what the config says.
func platformOf(config, listed v1.Platform) v1.Platform {
	if settled(listed) {
		return listed
	}
	return platform.Fill(listed, config)
}

// onlyListed is what the index says of the image's platform, as JSON, or nil where its
// config says as much.
func (i Image) onlyListed() ([]byte, error) {
	if platform.Fill(i.configured, i.listed).Equals(i.configured) {
		return nil, nil
	}
	return json.Marshal(i.listed, json.Deterministic(true))
}
