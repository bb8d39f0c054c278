package pushspec_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/pushspec"
)

// embed describes data and carries it.
func embed(mediaType types.MediaType, data []byte) v1.Descriptor {
	sum := sha256.Sum256(data)
	return v1.Descriptor{
		MediaType: mediaType,
		Size:      int64(len(data)),
		Digest:    v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sum)},
		Data:      data,
	}
}

// reference is the descriptor as a manifest carries it, without the data.
func reference(d v1.Descriptor) v1.Descriptor {
	d.Data = nil
	return d
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// image is a manifest over one config and one layer, and the two blobs.
func image(t testing.TB, label string) (v1.Descriptor, []pushspec.Blob) {
	t.Helper()
	config := embed(types.OCIConfigJSON, []byte(`{"architecture":"amd64","os":"linux","label":"`+label+`"}`))
	layer := reference(embed(types.OCILayer, []byte("layer of "+label)))
	manifest := embed(types.OCIManifestSchema1, mustJSON(t, v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        reference(config),
		Layers:        []v1.Descriptor{layer},
	}))
	return manifest, []pushspec.Blob{
		{Descriptor: config},
		{Descriptor: layer, Sources: []pushspec.Source{{CAS: layer.Digest.String()}, {Repository: "index.docker.io/library/ubuntu"}}},
	}
}

// valid is a spec of one image.
func valid(t testing.TB) *pushspec.Spec {
	t.Helper()
	manifest, blobs := image(t, "one")
	return &pushspec.Spec{
		SchemaVersion: pushspec.SchemaVersion,
		MediaType:     pushspec.MediaType,
		Target:        "@@//app:push",
		Destination:   pushspec.Destination{Registry: "ghcr.io", Repository: "acme/app", Tags: []string{"latest", "{STABLE_VERSION}"}},
		Root:          manifest.Digest,
		Manifests:     []v1.Descriptor{manifest},
		Blobs:         blobs,
	}
}

// validIndex is a spec of an index over two images, with a referrer to it.
func validIndex(t testing.TB) *pushspec.Spec {
	t.Helper()
	spec := valid(t)
	other, blobs := image(t, "two")
	index := embed(types.OCIImageIndex, mustJSON(t, v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests:     []v1.Descriptor{reference(spec.Manifests[0]), reference(other)},
	}))
	empty := embed("application/vnd.oci.empty.v1+json", []byte("{}"))
	subject := reference(index)
	referrer := embed(types.OCIManifestSchema1, mustJSON(t, v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  "application/spdx+json",
		Config:        reference(empty),
		Layers:        []v1.Descriptor{reference(empty)},
		Subject:       &subject,
	}))
	spec.Root = index.Digest
	spec.Manifests = append(spec.Manifests, other, index, referrer)
	spec.Blobs = append(append(spec.Blobs, blobs...), pushspec.Blob{Descriptor: empty})
	return spec
}

func TestEncodedSpecDecodesToTheSameBytes(t *testing.T) {
	for _, spec := range []*pushspec.Spec{valid(t), validIndex(t)} {
		first, err := spec.Encode()
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := pushspec.Decode(first)
		if err != nil {
			t.Fatal(err)
		}
		second, err := decoded.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, second) {
			t.Errorf("decoded and encoded again:\n%s\nwant\n%s", second, first)
		}
	}
}

func TestInvalidSpecIsRefusedByField(t *testing.T) {
	many := func(n int) []string {
		var tags []string
		for i := range n {
			tags = append(tags, fmt.Sprint("t", i))
		}
		return tags
	}
	for _, row := range []struct {
		name   string
		change func(*pushspec.Spec)
		want   string
	}{
		{"no target", func(s *pushspec.Spec) { s.Target = "" }, "target: must not be empty"},
		{"no registry", func(s *pushspec.Spec) { s.Destination.Registry = "" }, "destination.registry: must not be empty"},
		{"a registry with a path", func(s *pushspec.Spec) { s.Destination.Registry = "ghcr.io/acme" }, "destination.registry: "},
		{"a registry without a dot", func(s *pushspec.Spec) { s.Destination.Registry = "registry" }, "destination.registry: \"registry\" must be a host"},
		{"overwrite in version 1", func(s *pushspec.Spec) { s.Destination.Overwrite = pushspec.OverwriteNever }, "destination.overwrite: needs version 2"},
		{"overwrite that is neither", func(s *pushspec.Spec) {
			s.Destination.Overwrite = "sometimes"
			s.Version()
		}, "destination.overwrite: \"sometimes\" must be always or never"},
		{"a gate in version 1", func(s *pushspec.Spec) { s.Destination.Gate = pushspec.GateGreen }, "destination.gate: needs version 2, but this spec has version 1"},
		{"a gate that is none", func(s *pushspec.Spec) {
			s.Destination.Gate = "red"
			s.Version()
		}, "destination.gate: \"red\" must be pushed, green or approved"},
		{"a filter in version 1", func(s *pushspec.Spec) { s.Destination.Tags[1] = "{A|slug}" }, "destination.tags[1]: \"{A|slug}\" has a stamp variable with a filter or a default, which needs version 2"},
		{"a default in version 1", func(s *pushspec.Spec) { s.Destination.Repository = "{A:-a}/app" }, "destination.repository: \"{A:-a}/app\" has a stamp variable with a filter or a default, which needs version 2"},
		{"a filter that is none", func(s *pushspec.Spec) { s.Destination.Tags[1] = "{A|upper}" }, "destination.tags[1]: {A|upper}: there is no filter \"upper\"; write {A|slug}"},
		{"an empty default", func(s *pushspec.Spec) { s.Destination.Tags[1] = "{A:-}" }, "destination.tags[1]: {A:-}: the default \"\" must have 1 to 128 letters"},
		{"a default of other letters", func(s *pushspec.Spec) { s.Destination.Tags[1] = "{A:-b c}" }, "destination.tags[1]: {A:-b c}: the default \"b c\" must have"},
		{"a default that makes no tag", func(s *pushspec.Spec) { s.Destination.Tags[1] = "{A:-b/c}" }, "destination.tags[1]: \"{A:-b/c}\", with its variables filled in: \"b/c\" must be a tag"},
		{"a default that makes no repository", func(s *pushspec.Spec) { s.Destination.Repository = "{A:-B}" }, "destination.repository: \"{A:-B}\", with its variables filled in: \"B\" must be a repository"},
		{"a default before its filter", func(s *pushspec.Spec) { s.Destination.Tags[1] = "{A:-b|slug}" }, "destination.tags[1]: {A:-b|slug}: the default \"b|slug\" must have"},
		{"no repository", func(s *pushspec.Spec) { s.Destination.Repository = "" }, "destination.repository: must not be empty"},
		{"upper case repository", func(s *pushspec.Spec) { s.Destination.Repository = "Acme" }, "destination.repository: \"Acme\" must be a repository name"},
		{"a tag with a slash", func(s *pushspec.Spec) { s.Destination.Tags[1] = "a/b" }, "destination.tags[1]: \"a/b\" must be a tag"},
		{"a tag twice", func(s *pushspec.Spec) { s.Destination.Tags[1] = "latest" }, "destination.tags[1]: \"latest\" occurs twice"},
		{"a variable that is none", func(s *pushspec.Spec) { s.Destination.Tags[1] = "{a b}" }, "destination.tags[1]: {a b} must be a stamp variable"},
		{"half a variable", func(s *pushspec.Spec) { s.Destination.Tags[1] = "{A" }, "destination.tags[1]: "},
		{"too many tags", func(s *pushspec.Spec) { s.Destination.Tags = many(pushspec.MaxTags + 1) }, "destination.tags: has 129 entries; the limit is 128"},
		{"no manifests", func(s *pushspec.Spec) { s.Manifests = nil }, "manifests: must not be empty"},
		{"too many blobs", func(s *pushspec.Spec) { s.Blobs = make([]pushspec.Blob, pushspec.MaxBlobs+1) }, "blobs: has 4097 entries; the limit is 4096"},
		{"a root that is not there", func(s *pushspec.Spec) { s.Root.Hex = strings.Repeat("0", 64) }, "root: sha256:000"},
		{"a manifest without data", func(s *pushspec.Spec) { s.Manifests[0].Data = nil }, "manifests[0].data: must not be empty"},
		{"a manifest of other bytes", func(s *pushspec.Spec) { s.Manifests[0].Data[0]++ }, "manifests[0].data: has the digest"},
		{"a manifest of another size", func(s *pushspec.Spec) { s.Manifests[0].Size++ }, "manifests[0].data: has 399 bytes, but"},
		{"a manifest of another type", func(s *pushspec.Spec) { s.Manifests[0].MediaType = types.DockerManifestSchema2 }, "manifests[0].mediaType: "},
		{"a manifest of no known type", func(s *pushspec.Spec) { s.Manifests[0].MediaType = "text/plain" }, "manifests[0].mediaType: \"text/plain\" must be the media type of an image manifest"},
		{"a manifest twice", func(s *pushspec.Spec) { s.Manifests = append(s.Manifests, s.Manifests[0]) }, "manifests[1].digest: "},
		{"a blob twice", func(s *pushspec.Spec) { s.Blobs = append(s.Blobs, s.Blobs[0]) }, "blobs[2].digest: "},
		{"a blob of another size", func(s *pushspec.Spec) { s.Blobs[1].Size++ }, "manifests[0]: its layers[0], "},
		{"a negative size", func(s *pushspec.Spec) { s.Blobs[1].Size = -1 }, "blobs[1].size: -1 must not be negative"},
		{"a blob that is missing", func(s *pushspec.Spec) { s.Blobs = s.Blobs[:1] }, "manifests[0]: its layers[0], "},
		{"a blob from nowhere", func(s *pushspec.Spec) { s.Blobs[1].Sources = nil }, "blobs[1]: must have data or sources"},
		{"a blob from both", func(s *pushspec.Spec) { s.Blobs[0].Sources = s.Blobs[1].Sources }, "blobs[0]: must have either data or sources, not both"},
		{"a source that is none", func(s *pushspec.Spec) { s.Blobs[1].Sources[0] = pushspec.Source{} }, "blobs[1].sources[0]: must have either cas or repository"},
		{"a source that is two", func(s *pushspec.Spec) { s.Blobs[1].Sources[0].Repository = "a/b" }, "blobs[1].sources[0]: must have either cas or repository, not both"},
		{"an unknown function", func(s *pushspec.Spec) { s.Blobs[1].Sources[0].CAS = "crc:00" }, "blobs[1].sources[0]: \"crc\""},
		{"a short digest", func(s *pushspec.Spec) { s.Blobs[1].Sources[0].CAS = "blake3:00" }, "blobs[1].sources[0]: a blake3 digest must have 64"},
		{"a blob without a use", func(s *pushspec.Spec) {
			s.Blobs = append(s.Blobs, pushspec.Blob{Descriptor: embed(types.OCILayer, []byte("spare"))})
		}, "blobs[2]: no manifest names"},
		{"a digest that is not SHA-256", func(s *pushspec.Spec) { s.Blobs[1].Digest.Algorithm = "md5" }, "blobs[1].digest: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			spec := valid(t)
			row.change(spec)
			_, err := spec.Encode()
			invalid, ok := errors.AsType[*pushspec.Error](err)
			if !ok {
				t.Fatalf("error is %v, want an *Error", err)
			}
			if got := invalid.Field + ": " + invalid.Reason; !strings.HasPrefix(got, row.want) {
				t.Errorf("error is %q, want it to begin %q", got, row.want)
			}
		})
	}
}

func TestManifestsMustBeInTheOrderOfARegistry(t *testing.T) {
	spec := validIndex(t)
	spec.Manifests[1], spec.Manifests[2] = spec.Manifests[2], spec.Manifests[1]
	err := spec.Validate()
	if err == nil || !strings.Contains(err.Error(), "must be embedded before it") {
		t.Errorf("error is %v", err)
	}
}

func TestManifestThatNothingReachesIsRefused(t *testing.T) {
	spec := validIndex(t)
	spec.Root = spec.Manifests[0].Digest
	err := spec.Validate()
	if err == nil || !strings.Contains(err.Error(), "must be reachable from the root") {
		t.Errorf("error is %v", err)
	}
}

func TestDocumentIsReadStrictly(t *testing.T) {
	encoded, err := valid(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	good := string(encoded)
	for _, row := range []struct{ name, document, want string }{
		{"empty", "", "not valid JSON"},
		{"cut short", good[:len(good)-1], "not valid JSON"},
		{"with a tail", good + "{}", "not valid JSON"},
		{"an array", "[]", "push spec: "},
		{"an unknown field", strings.Replace(good, `"target"`, `"shout":1,"target"`, 1), "shout: "},
		{"an unknown nested field", strings.Replace(good, `"registry"`, `"shout":1,"registry"`, 1), "destination.shout: "},
		{"a field twice", strings.Replace(good, `"target"`, `"target":"@@//b","target"`, 1), "duplicate"},
		{"a field in another case", strings.Replace(good, `"root"`, `"Root"`, 1), "Root: "},
		{"a wrong type", strings.Replace(good, `"repository":"acme/app"`, `"repository":7`, 1), "destination.repository: "},
		{"a digest that is none", strings.Replace(good, `"root":"sha256:`, `"root":"sha256:zz`, 1), "root: "},
		{"invalid UTF-8", strings.Replace(good, "acme", "ac\xffme", 1), "UTF-8"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := pushspec.Decode([]byte(row.document))
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error is %v, want it to contain %q", err, row.want)
			}
		})
	}
}

func TestDocumentOverTheSizeLimitIsRefusedUnread(t *testing.T) {
	_, err := pushspec.Decode(bytes.Repeat([]byte(" "), pushspec.MaxSize+1))
	if err == nil || !strings.Contains(err.Error(), "the limit is 33554432") {
		t.Errorf("error is %v", err)
	}
}

func TestUnknownVersionNamesTheTargetAndWhatIsUnderstood(t *testing.T) {
	_, err := pushspec.Decode([]byte(`{"schemaVersion":3,"mediaType":"application/vnd.drayage.pushspec.v3+json","target":"@@//app:push","later":{}}`))
	if _, ok := errors.AsType[*pushspec.VersionError](err); !ok {
		t.Fatalf("error is %v, want a *VersionError", err)
	}
	want := `push spec of @@//app:push has schema version 3 and media type "application/vnd.drayage.pushspec.v3+json"; ` +
		`this program understands version 1, "application/vnd.drayage.pushspec.v1+json", and version 2, "application/vnd.drayage.pushspec.v2+json": use rules and a daemon of the same release`
	if err.Error() != want {
		t.Errorf("error is\n%s\nwant\n%s", err, want)
	}
}

// A spec that says nothing new is of version 1, for daemons that know no other.
func TestASpecIsOfTheOldestVersionThatSaysItAll(t *testing.T) {
	for _, row := range []struct {
		name, want string
		change     func(*pushspec.Destination)
	}{
		{"nothing new", "v1", func(*pushspec.Destination) {}},
		{"overwrite", "v2", func(d *pushspec.Destination) { d.Overwrite = pushspec.OverwriteAlways }},
		{"no overwrite", "v2", func(d *pushspec.Destination) { d.Overwrite = pushspec.OverwriteNever }},
		{"a gate", "v2", func(d *pushspec.Destination) { d.Gate = pushspec.GateGreen }},
		{"a filter in a tag", "v2", func(d *pushspec.Destination) { d.Tags = []string{"{STABLE_VERSION|slug}"} }},
		{"a default in a tag", "v2", func(d *pushspec.Destination) { d.Tags = []string{"{NONE:-v1}"} }},
		{"a default in the repository", "v2", func(d *pushspec.Destination) { d.Repository = "{NONE:-app}" }},
	} {
		spec := valid(t)
		row.change(&spec.Destination)
		spec.Version()
		data, err := spec.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), "pushspec."+row.want+"+json") {
			t.Errorf("%s: the spec is %s, want %s", row.name, data, row.want)
		}
		again, err := pushspec.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		stamped, err := again.Destination.Stamp(map[string]string{"STABLE_VERSION": "v1"})
		if err != nil || stamped.Overwrite != spec.Destination.Overwrite || stamped.Gate != spec.Destination.Gate {
			t.Errorf("%s: the destination is %+v when stamped (%v), want it of %+v", row.name, stamped, err, spec.Destination)
		}
	}
}

// The version and the media type are one.
func TestAVersionWithTheMediaTypeOfAnotherIsRefused(t *testing.T) {
	spec := valid(t)
	spec.MediaType = pushspec.MediaTypeV2
	_, err := spec.Encode()
	if _, ok := errors.AsType[*pushspec.VersionError](err); !ok {
		t.Errorf("error is %v, want a *VersionError", err)
	}
}

func FuzzDecode(f *testing.F) {
	later := valid(f)
	later.Destination = pushspec.Destination{Registry: "ghcr.io", Repository: "{TEAM:-acme}/app", Tags: []string{"{BRANCH|slug:-main}"}, Overwrite: pushspec.OverwriteNever, Gate: pushspec.GateGreen}
	later.Version()
	for _, spec := range []*pushspec.Spec{valid(f), validIndex(f), later} {
		data, err := spec.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"schemaVersion":1,"mediaType":"` + pushspec.MediaType + `","blobs":[{"sources":[{}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		used, spec, err := allocated(data)
		if limit := uint64(pushspec.DecodeMemory(int64(len(data)))); used > limit {
			t.Errorf("%d bytes are allocated for %d; the limit is %d", used, len(data), limit)
		}
		if err != nil {
			if len(err.Error()) > 4096 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		again, err := spec.Encode()
		if err != nil {
			t.Fatalf("what was decoded does not encode: %v", err)
		}
		if _, err := pushspec.Decode(again); err != nil {
			t.Fatalf("what was encoded does not decode: %v", err)
		}
	})
}
