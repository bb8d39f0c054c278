package copies

import (
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/pushspec"
)

// Reference names an image: HOST/REPOSITORY, with a tag, a digest, both or neither.
type Reference struct {
	Registry, Repository string
	// Tag and digest are zero if the reference has none.
	Tag    string
	digest v1.Hash
}

// ParseReference reads HOST/REPOSITORY[:TAG][@DIGEST].
func ParseReference(text string) (Reference, error) {
	fail := func(reason any) (Reference, error) {
		return Reference{}, fmt.Errorf("%q must be HOST/REPOSITORY[:TAG][@DIGEST]: %v", text, reason)
	}
	var p Reference
	rest, digest, found := strings.Cut(text, "@")
	if found {
		var err error
		if p.digest, err = v1.NewHash(digest); err != nil || p.digest.Algorithm != "sha256" {
			return fail(fmt.Sprintf("%q is not a SHA-256 digest", digest))
		}
	}
	registry, repository, found := strings.Cut(rest, "/")
	if !found {
		return fail("it has no slash")
	}
	if p.Repository, p.Tag, found = strings.Cut(repository, ":"); found {
		if err := pushspec.CheckTag(p.Tag); err != nil {
			return fail(err)
		}
	}
	if err := pushspec.CheckRegistry(registry); err != nil {
		return fail(err)
	}
	if err := pushspec.CheckRepository(p.Repository); err != nil {
		return fail(err)
	}
	p.Registry = registry
	return p, nil
}

// String returns the reference as it was given.
func (p Reference) String() string {
	text := p.name()
	if p.Tag != "" {
		text += ":" + p.Tag
	}
	if p.digest != (v1.Hash{}) {
		text += "@" + p.digest.String()
	}
	return text
}

// name is HOST/REPOSITORY.
func (p Reference) name() string { return p.Registry + "/" + p.Repository }

// manifest is what to ask the registry for: the digest, or else the tag.
func (p Reference) manifest() string {
	if p.digest != (v1.Hash{}) {
		return p.digest.String()
	}
	return p.Tag
}
