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

// nameOf is a target name even if parts of the platform are missing. Without any part
// it is "_".
func nameOf(p v1.Platform) string {
	name := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		name += "/" + p.Variant
	}
	return strings.NewReplacer("/", "_", ".", "_").Replace(name)
}

func (i Image) is(wanted string) bool { return isPlatform(i.Platform, wanted) }

// isPlatform tells whether p is the wanted platform. A wanted platform without a
// variant matches every variant: "linux/arm64" matches linux/arm64/v8.
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

// settled tells whether an entry of an index names the platform of its image fully.
// For arm, the variant is needed.
func settled(listed v1.Platform) bool {
	return listed.OS != "" && listed.Architecture != "" && (listed.Architecture != "arm" || listed.Variant != "")
}

// runs tells whether containers can run on a platform. An entry that is not an image
// to run, such as an attestation, has "unknown".
func runs(p v1.Platform) bool {
	return p.OS != "" && p.OS != "unknown"
}

// platformOf is the platform of an image in an index: the index's, completed from
// the image's config.
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
