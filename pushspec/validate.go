package pushspec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Validate checks everything that the document alone can show: its limits and its
// names, that embedded bytes match the digest and size in their descriptors, and that
// the root and its referrers reach every manifest and blob. The error is an [*Error]
// or a [*VersionError].
func (s *Spec) Validate() error {
	if !knownVersion(s.SchemaVersion, s.MediaType) {
		return &VersionError{Target: clip(s.Target), Version: s.SchemaVersion, MediaType: clip(s.MediaType)}
	}
	v := validator{spec: s}
	for _, check := range []func() error{v.target, v.destination, v.counts, v.blobs, v.manifests} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

type validator struct {
	spec *Spec
	// referred counts, for each blob, the manifests that name it.
	referred map[v1.Hash]int
	byDigest map[v1.Hash]Blob
}

func (v *validator) fail(field, format string, args ...any) error {
	return &Error{Target: clip(v.spec.Target), Field: field, Reason: fmt.Sprintf(format, args...)}
}

func (v *validator) target() error {
	switch target := v.spec.Target; {
	case target == "":
		return v.fail("target", "must not be empty")
	case len(target) > maxText:
		return v.fail("target", "has %d bytes; the limit is %d", len(target), maxText)
	}
	return nil
}

func (v *validator) destination() error {
	d := v.spec.Destination
	if d.Registry == "" {
		return v.fail("destination.registry", "must not be empty")
	}
	if len(d.Registry) > maxText {
		return v.fail("destination.registry", "has %d bytes; the limit is %d", len(d.Registry), maxText)
	}
	if err := CheckRegistry(d.Registry); err != nil {
		return v.fail("destination.registry", "%v", err)
	}
	if d.Repository == "" {
		return v.fail("destination.repository", "must not be empty")
	}
	if err := v.template("destination.repository", d.Repository, CheckRepository); err != nil {
		return err
	}
	seen := make(map[string]bool, len(d.Tags))
	for i, tag := range d.Tags {
		field := fmt.Sprintf("destination.tags[%d]", i)
		if err := v.template(field, tag, CheckTag); err != nil {
			return err
		}
		if seen[tag] {
			return v.fail(field, "%q occurs twice", tag)
		}
		seen[tag] = true
	}
	switch {
	case d.Overwrite == "":
	case v.spec.SchemaVersion == SchemaVersion:
		return v.needsV2("destination.overwrite")
	case d.Overwrite != OverwriteAlways && d.Overwrite != OverwriteNever:
		return v.fail("destination.overwrite", "%q must be always or never", clip(string(d.Overwrite)))
	}
	if d.Gate == "" {
		return nil
	}
	if v.spec.SchemaVersion == SchemaVersion {
		return v.needsV2("destination.gate")
	}
	if _, err := ParseGate(string(d.Gate)); err != nil {
		return v.fail("destination.gate", "%v", err)
	}
	return nil
}

func (v *validator) needsV2(field string) error {
	return v.fail(field, "needs version %d, but this spec has version %d", SchemaVersionV2, SchemaVersion)
}

// template checks a text that may contain stamp variables.
func (v *validator) template(field, text string, check func(string) error) error {
	if err := checkTemplate(text, check); err != nil {
		return v.fail(field, "%v", err)
	}
	if v.spec.SchemaVersion == SchemaVersion && !plain(text) {
		return v.fail(field, "%q has a stamp variable with a filter or a default, which needs version %d, but this spec has version %d", clip(text), SchemaVersionV2, SchemaVersion)
	}
	return nil
}

func (v *validator) counts() error {
	for _, c := range []struct {
		field    string
		n, limit int
	}{
		{"destination.tags", len(v.spec.Destination.Tags), MaxTags},
		{"manifests", len(v.spec.Manifests), MaxManifests},
		{"blobs", len(v.spec.Blobs), MaxBlobs},
	} {
		if c.n > c.limit {
			return v.fail(c.field, "has %d entries; the limit is %d", c.n, c.limit)
		}
	}
	if len(v.spec.Manifests) == 0 {
		return v.fail("manifests", "must not be empty: a spec must embed at least its root manifest")
	}
	return nil
}

func (v *validator) blobs() error {
	v.byDigest = make(map[v1.Hash]Blob, len(v.spec.Blobs))
	v.referred = make(map[v1.Hash]int, len(v.spec.Blobs))
	for i, blob := range v.spec.Blobs {
		field := fmt.Sprintf("blobs[%d]", i)
		if err := v.descriptor(field, blob.Descriptor); err != nil {
			return err
		}
		if _, twice := v.byDigest[blob.Digest]; twice {
			return v.fail(field+".digest", "%s occurs twice", blob.Digest)
		}
		v.byDigest[blob.Digest] = blob
		if err := v.origin(field, blob); err != nil {
			return err
		}
		switch {
		case blob.Data == nil && len(blob.Sources) == 0 && Distributable(blob.MediaType):
			return v.fail(field, "must have data or sources, to say where the bytes of %s are", blob.Digest)
		case blob.Data != nil && len(blob.Sources) > 0:
			return v.fail(field, "must have either data or sources, not both")
		case len(blob.Sources) > MaxSources:
			return v.fail(field+".sources", "has %d entries; the limit is %d", len(blob.Sources), MaxSources)
		}
		for j, source := range blob.Sources {
			if err := source.check(); err != nil {
				return v.fail(fmt.Sprintf("%s.sources[%d]", field, j), "%v", err)
			}
		}
	}
	return nil
}

// descriptor checks one descriptor, and its embedded data if it has any.
func (v *validator) descriptor(field string, d v1.Descriptor) error {
	switch {
	case d.MediaType == "":
		return v.fail(field+".mediaType", "must not be empty")
	case len(d.MediaType) > maxText:
		return v.fail(field+".mediaType", "has %d bytes; the limit is %d", len(d.MediaType), maxText)
	case d.Digest == v1.Hash{}:
		return v.fail(field+".digest", "must not be empty")
	case d.Digest.Algorithm != "sha256" || !hexOfLength(d.Digest.Hex, sha256.Size*2):
		return v.fail(field+".digest", "%q must be a SHA-256 digest", clip(d.Digest.String()))
	case d.Size < 0:
		return v.fail(field+".size", "%d must not be negative", d.Size)
	case d.Data == nil:
		return nil
	case len(d.Data) > MaxDataSize:
		return v.fail(field+".data", "has %d bytes; the limit is %d", len(d.Data), MaxDataSize)
	case int64(len(d.Data)) != d.Size:
		return v.fail(field+".data", "has %d bytes, but the descriptor says %d", len(d.Data), d.Size)
	}
	if sum := sha256.Sum256(d.Data); hex.EncodeToString(sum[:]) != d.Digest.Hex {
		return v.fail(field+".data", "has the digest sha256:%x, but the descriptor says %s", sum, d.Digest)
	}
	return nil
}

func hexOfLength(text string, length int) bool {
	if len(text) != length {
		return false
	}
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

var (
	// The grammars are those of the OCI distribution spec ("Pulling manifests").
	repositoryPattern = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagPattern        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

// CheckRepository returns an error unless text, with its stamp variables filled in, is
// the name of a repository.
func CheckRepository(text string) error {
	if len(text) > 255 || !repositoryPattern.MatchString(text) {
		return fmt.Errorf("%q must be a repository name: "+
			"at most 255 lower case letters and digits, with single separators . _ - or / between them", clip(text))
	}
	return nil
}

// CheckTag returns an error unless text, with its stamp variables filled in, is a tag.
func CheckTag(text string) error {
	if !tagPattern.MatchString(text) {
		return fmt.Errorf("%q must be a tag: at most 128 letters, digits, . _ and -, "+
			"not beginning with . or -", clip(text))
	}
	return nil
}
