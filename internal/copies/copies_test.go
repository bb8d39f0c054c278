package copies_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/copies"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

// shelf is a repository that images are put into.
type shelf struct {
	t    *testing.T
	fake *registrytest.Registry
	name string
	n    int
}

func describe(mediaType types.MediaType, data []byte) v1.Descriptor {
	hash, size, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		panic(err)
	}
	return v1.Descriptor{MediaType: mediaType, Digest: hash, Size: size}
}

func (s *shelf) put(tag string, doc map[string]any, mediaType types.MediaType) v1.Descriptor {
	s.t.Helper()
	doc["schemaVersion"], doc["mediaType"] = 2, mediaType
	data, err := json.Marshal(doc)
	if err != nil {
		s.t.Fatal(err)
	}
	d := describe(mediaType, data)
	if tag == "" {
		tag = d.Digest.String()
	}
	s.fake.PutManifest(s.name, tag, string(mediaType), data)
	return d
}

func (s *shelf) blob(mediaType types.MediaType, size int) v1.Descriptor {
	s.n++
	data := bytes.Repeat([]byte(fmt.Sprintf("blob %d ", s.n)), size)
	s.fake.PutBlob(s.name, data)
	return describe(mediaType, data)
}

// image puts an image of two layers, and of what more says.
func (s *shelf) image(tag string, more map[string]any) v1.Descriptor {
	doc := map[string]any{
		"config": s.blob(types.OCIConfigJSON, 1),
		"layers": []v1.Descriptor{s.blob(types.OCILayer, 100_000), s.blob(types.OCILayer, 10)},
	}
	maps.Copy(doc, more)
	return s.put(tag, doc, types.OCIManifestSchema1)
}

func (s *shelf) about(subject v1.Descriptor, artifactType string) v1.Descriptor {
	return s.image("", map[string]any{"subject": subject, "artifactType": artifactType})
}

// list writes the index under the fallback tag, as pushers do for registries that keep
// no list.
func (s *shelf) list(subject v1.Descriptor, referrers ...v1.Descriptor) {
	s.put(strings.ReplaceAll(subject.Digest.String(), ":", "-"), map[string]any{"manifests": referrers}, types.OCIImageIndex)
}

func newClient(t *testing.T) *registry.Client {
	t.Helper()
	registries := registry.New(registry.Options{Keychain: authn.NewMultiKeychain()})
	t.Cleanup(registries.Close)
	return registries
}

func parsed(t *testing.T, text string) copies.Reference {
	t.Helper()
	p, err := copies.ParseReference(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// bring copies an image, and checks that all of it is there.
func bring(t *testing.T, registries *registry.Client, image *copies.Image, to *registrytest.Registry, repository string, tags ...string) haul.Result {
	t.Helper()
	spec, err := image.Spec(pushspec.Destination{Registry: to.Host, Repository: repository, Tags: tags})
	if err != nil {
		t.Fatal(err)
	}
	hauler, err := haul.New(haul.Options{Registries: registries, Grace: -1})
	if err != nil {
		t.Fatal(err)
	}
	result, err := hauler.Haul(t.Context(), haul.Request{Spec: spec, Repository: repository, Tags: tags, Copied: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range image.Manifests {
		if data, found := to.Manifest(repository, m.Digest.String()); !found || !bytes.Equal(data, m.Data) {
			t.Errorf("manifest %s is not there as it was", m.Digest)
		}
	}
	for _, b := range image.Blobs {
		if !to.HasBlob(repository, b.Digest.String()) {
			t.Errorf("blob %s is not there", b.Digest)
		}
	}
	for _, tag := range tags {
		if data, _ := to.Manifest(repository, tag); describe("", data).Digest != image.Digest {
			t.Errorf("tag %s does not point to the image", tag)
		}
	}
	return result
}

func TestAnImageIsCopiedWithWhatRefersToIt(t *testing.T) {
	for _, lists := range []bool{true, false} {
		t.Run(fmt.Sprintf("registry lists referrers %t", lists), func(t *testing.T) {
			from, to := registrytest.Start(t, registrytest.Rules{Referrers: lists}), registrytest.Start(t, registrytest.Rules{})
			s := &shelf{t: t, fake: from, name: "staging/app"}
			amd, arm := s.image("", nil), s.image("", nil)
			amd.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
			inner := s.put("", map[string]any{"manifests": []v1.Descriptor{arm}}, types.OCIImageIndex)
			root := s.put("candidate", map[string]any{"manifests": []v1.Descriptor{amd, inner}}, types.OCIImageIndex)
			sbom, signature := s.about(amd, "sbom"), s.about(root, "signature")
			ofSBOM := s.about(sbom, "signature of the sbom")
			s.list(amd, sbom)
			s.list(root, signature)
			s.list(sbom, ofSBOM)

			registries := newClient(t)
			image, err := copies.Read(t.Context(), parsed(t, from.Host+"/staging/app:candidate"), copies.Options{Registries: registries, Referrers: true})
			if err != nil {
				t.Fatal(err)
			}
			if image.Digest != root.Digest || len(image.Manifests) != 7 || image.Referrers != 3 {
				t.Errorf("the image is %s with %d manifests, %d of them referrers", image.Digest, len(image.Manifests), image.Referrers)
			}
			bring(t, registries, image, to, "acme/app", "v1", "latest")
			for subject, referrer := range map[v1.Hash]v1.Hash{amd.Digest: sbom.Digest, root.Digest: signature.Digest, sbom.Digest: ofSBOM.Digest} {
				index, _ := to.Manifest("acme/app", strings.ReplaceAll(subject.String(), ":", "-"))
				if !strings.Contains(string(index), referrer.String()) {
					t.Errorf("%s does not list %s: %s", subject, referrer, index)
				}
			}

			without, err := copies.Read(t.Context(), parsed(t, from.Host+"/staging/app@"+root.Digest.String()), copies.Options{Registries: registries})
			if err != nil {
				t.Fatal(err)
			}
			if len(without.Manifests) != 4 || without.Referrers != 0 {
				t.Errorf("without referrers the image has %d manifests", len(without.Manifests))
			}
		})
	}
}

func TestWithinARegistryLayersAreMounted(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{})
	s := &shelf{t: t, fake: fake, name: "staging/app"}
	root := s.image("v1", nil)
	registries := newClient(t)
	image, err := copies.Read(t.Context(), parsed(t, fake.Host+"/staging/app:v1"), copies.Options{Registries: registries, Referrers: true})
	if err != nil {
		t.Fatal(err)
	}
	if result := bring(t, registries, image, fake, "acme/app", "v1"); result.Mounted.Blobs != 3 || result.Uploaded.Blobs != 0 {
		t.Errorf("the result is %+v, want all mounted", result)
	}
	if sent := fake.Received(); len(sent) != 0 {
		t.Errorf("bytes were sent: %v", sent)
	}
	// In its own repository it only gets a tag.
	if result := bring(t, registries, image, fake, "staging/app", "v2"); result.Uploaded.Blobs+result.Mounted.Blobs != 0 || image.Digest != root.Digest {
		t.Errorf("the result is %+v", result)
	}
}

func TestAnImageOfDockersFormatsIsCopiedAsItIs(t *testing.T) {
	from, to := registrytest.Start(t, registrytest.Rules{}), registrytest.Start(t, registrytest.Rules{})
	s := &shelf{t: t, fake: from, name: "library/old"}
	one := s.put("", map[string]any{
		"config": s.blob(types.DockerConfigJSON, 1), "layers": []v1.Descriptor{s.blob(types.DockerLayer, 10)},
	}, types.DockerManifestSchema2)
	s.put("v1", map[string]any{"manifests": []v1.Descriptor{one}}, types.DockerManifestList)
	registries := newClient(t)
	image, err := copies.Read(t.Context(), parsed(t, from.Host+"/library/old:v1"), copies.Options{Registries: registries, Referrers: true})
	if err != nil {
		t.Fatal(err)
	}
	bring(t, registries, image, to, "acme/old", "v1")
}

// Tokens of who may only read are enough where the image comes from.
func TestTheSourceIsOnlyRead(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{})
	s := &shelf{t: t, fake: fake, name: "staging/app"}
	s.list(s.image("v1", nil))
	fake.SetRules(registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			t.Errorf("the source was asked %s %s", r.Method, r.URL)
		}
		if scope := r.URL.Query().Get("scope"); strings.Contains(scope, "push") {
			t.Errorf("a token was asked for with %q", scope)
		}
		if r.Header.Get("Authorization") == "" && r.URL.Path != "/token" {
			return &registrytest.Fault{Status: http.StatusUnauthorized, Header: http.Header{"Www-Authenticate": {`Bearer realm="http://` + r.Host + `/token",service="x"`}}}
		}
		return nil
	}})
	if _, err := copies.Read(t.Context(), parsed(t, fake.Host+"/staging/app:v1"), copies.Options{Registries: newClient(t), Referrers: true}); err != nil {
		t.Fatal(err)
	}
}

func TestWhatCannotBeCopiedIsTold(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{})
	s := &shelf{t: t, fake: fake, name: "staging/app"}
	lost := s.image("", nil)
	s.put("sparse", map[string]any{"manifests": []v1.Descriptor{lost}}, types.OCIImageIndex)
	fake.Forget("staging/app", lost.Digest.String())
	fake.PutManifest("staging/app", "schema1", string(types.DockerManifestSchema1), []byte(`{"schemaVersion":1,"fsLayers":[{"blobSum":"sha256:00"}]}`))
	fake.PutManifest("staging/app", "text", "text/plain", []byte(`hello`))
	for reference, want := range map[string]string{
		":none":    "the registry does not have this image",
		":sparse":  "lists the manifest " + lost.Digest.String() + ", which the registry does not have",
		":schema1": "first schema",
		":text":    "is not valid",
		"":         "the source must have a tag or a digest",
	} {
		_, err := copies.Read(t.Context(), parsed(t, fake.Host+"/staging/app"+reference), copies.Options{Registries: newClient(t)})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fake.Host+"/staging/app"+reference) {
			t.Errorf("%q: error is %v, want it to contain %q", reference, err, want)
		}
	}
}

func TestReferrersThatAreGoneOrAboutSomethingElseAreLeftOut(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{})
	s := &shelf{t: t, fake: fake, name: "staging/app"}
	root, other := s.image("v1", nil), s.image("other", nil)
	gone, wrong, good := s.about(root, "gone"), s.about(other, "wrong"), s.about(root, "good")
	s.list(root, gone, wrong, good)
	fake.Forget("staging/app", gone.Digest.String())
	image, err := copies.Read(t.Context(), parsed(t, fake.Host+"/staging/app:v1"), copies.Options{Registries: newClient(t), Referrers: true})
	if err != nil {
		t.Fatal(err)
	}
	if image.Referrers != 1 || image.Manifests[1].Digest != good.Digest || !slices.Equal(image.Gone, []v1.Hash{gone.Digest}) {
		t.Errorf("%d referrers are copied, %v are gone", image.Referrers, image.Gone)
	}
}

// What has no end is not read to its end.
func TestAnIndexWithoutEndIsRefused(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{})
	s := &shelf{t: t, fake: fake, name: "staging/app"}
	d := s.image("", nil)
	for i := range pushspec.MaxManifests + 1 {
		d = s.put(fmt.Sprintf("level%d", i), map[string]any{"manifests": []v1.Descriptor{d}}, types.OCIImageIndex)
	}
	_, err := copies.Read(t.Context(), parsed(t, fake.Host+"/staging/app@"+d.Digest.String()), copies.Options{Registries: newClient(t)})
	if err == nil || !strings.Contains(err.Error(), "more than 1024 manifests") {
		t.Errorf("error is %v", err)
	}
}

func TestAReferenceMayHaveATagADigestOrBoth(t *testing.T) {
	const digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	for _, text := range []string{"ghcr.io/acme/app", "ghcr.io/acme/app:v1", "localhost:5000/app@" + digest, "ghcr.io/a/b/c:v1@" + digest} {
		if p, err := copies.ParseReference(text); err != nil || p.String() != text {
			t.Errorf("%s is read as %s (%v)", text, p, err)
		}
	}
	for text, want := range map[string]string{
		"app":                                       "no slash",
		"acme/app:v1":                               "neither a dot nor a port",
		"ghcr.io/Acme/app":                          "must be a repository name",
		"ghcr.io/acme/app:":                         "must be a tag",
		"ghcr.io/acme/app:a/b":                      "must be a tag",
		"ghcr.io/acme/app@latest":                   "not a SHA-256 digest",
		"ghcr.io/acme/app@sha1:00":                  "not a SHA-256 digest",
		"https://ghcr.io/acme/app":                  "",
		"ghcr.io/acme/app@" + digest + "@" + digest: "not a SHA-256 digest",
	} {
		if _, err := copies.ParseReference(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want it to contain %q", text, err, want)
		}
	}
}
