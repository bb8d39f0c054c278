package copies

import (
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/pushspec"
)

// Place is an image's name: HOST/REPOSITORY, with a tag, a digest or both.
type Place struct {
	Registry, Repository string
	// Tag is "" for none, and Digest is zero.
	Tag    string
	Digest v1.Hash
}

// ParsePlace reads HOST/REPOSITORY[:TAG][@DIGEST].
func ParsePlace(text string) (Place, error) {
	fail := func(reason any) (Place, error) {
		return Place{}, fmt.Errorf("%q must be HOST/REPOSITORY[:TAG][@DIGEST]: %v", text, reason)
	}
	var p Place
	rest, digest, found := strings.Cut(text, "@")
	if found {
		var err error
		if p.Digest, err = v1.NewHash(digest); err != nil || p.Digest.Algorithm != "sha256" {
			return fail(fmt.Sprintf("%q is no SHA-256 digest", digest))
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

// String is the place as it was given.
func (p Place) String() string {
	text := p.where()
	if p.Tag != "" {
		text += ":" + p.Tag
	}
	if p.Digest != (v1.Hash{}) {
		text += "@" + p.Digest.String()
	}
	return text
}

// where is HOST/REPOSITORY.
func (p Place) where() string { return p.Registry + "/" + p.Repository }

// reference is what to ask the registry for: of a tag and a digest the digest.
func (p Place) reference() string {
	if p.Digest != (v1.Hash{}) {
		return p.Digest.String()
	}
	return p.Tag
}
