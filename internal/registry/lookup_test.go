package registry_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

const indexType = "application/vnd.oci.image.index.v1+json"

// putIndex writes an index that refers to nothing, under a tag.
func putIndex(t *testing.T, repo *registry.Repository, tag, text string) v1.Hash {
	t.Helper()
	data := []byte(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[],"annotations":{"a":%q}}`, indexType, text))
	if _, err := repo.PutManifest(t.Context(), tag, indexType, data); err != nil {
		t.Fatal(err)
	}
	digest, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func TestAHeadThatIsRefusedIsAskedByGet(t *testing.T) {
	for _, status := range []int{400, 405, 406, 415, 501, 505} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			fake := registrytest.Start(t, registrytest.Rules{Fault: on(http.MethodHead, "", registrytest.Fault{Status: status})})
			repo := repository(t, fake, registry.Options{})
			want := putIndex(t, repo, "v1", "")
			for range 3 {
				if digest, found, err := repo.Head(t.Context(), "v1"); err != nil || !found || digest != want {
					t.Errorf("tag: %s, %t, %v", digest, found, err)
				}
			}
			if digest, found, err := repo.Head(t.Context(), want.String()); err != nil || !found || digest != want {
				t.Errorf("manifest: %s, %t, %v", digest, found, err)
			}
			if _, found, err := repo.Head(t.Context(), "v2"); err != nil || found {
				t.Errorf("a tag that is not there: %t, %v", found, err)
			}
			if got := requests(fake, "HEAD tag"); got != 1 {
				t.Errorf("%d lookups by HEAD were made, want one: it is remembered", got)
			}
			data, digest := noise(1, 100_000)
			for _, want := range []bool{false, true} {
				if there, err := repo.HasBlob(t.Context(), digest); err != nil || there != want {
					t.Errorf("blob: %t, %v; want %t", there, err, want)
				}
				fake.PutBlob("acme/app", data)
			}
		})
	}
}

func TestALookupThatIsRefusedIsNoFailure(t *testing.T) {
	for name, fault := range map[string]registrytest.Fault{
		"403":                     {Status: 403},
		"404":                     {Status: 404},
		"410":                     {Status: 410},
		"400":                     {Status: 400},
		"405":                     {Status: 405},
		"418":                     {Status: 418},
		"501":                     {Status: 501},
		"a redirect elsewhere":    {Status: 307, Header: http.Header{"Location": {"http://elsewhere.test/"}}},
		"a redirect to nowhere":   {Status: 302},
		"a redirect to itself":    {Status: 308, Header: http.Header{"Location": {"?"}}},
		"no redirect":             {Status: 304},
		"several to choose among": {Status: 300},
	} {
		t.Run(name, func(t *testing.T) {
			fake := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
				if r.Method == http.MethodHead || r.Method == http.MethodGet {
					return &fault
				}
				return nil
			}})
			repo := repository(t, fake, registry.Options{})
			if _, found, err := repo.Head(t.Context(), "v1"); err != nil || found {
				t.Errorf("tag: %t, %v", found, err)
			}
			_, digest := noise(1, 10)
			// Where blobs are stored is often elsewhere: who is sent there finds one.
			if there, err := repo.HasBlob(t.Context(), digest); err != nil || there != (name == "a redirect elsewhere") {
				t.Errorf("blob: %t, %v", there, err)
			}
			if fake.Total() > 4 {
				t.Errorf("the requests were %v", fake.Trace())
			}
		})
	}
}

func TestCredentialsThatAreNotTakenAreAFailureOfALookup(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{User: "ann", Password: "secret"})
	repo := repository(t, fake, registry.Options{})
	if _, _, err := repo.Head(t.Context(), "v1"); err == nil || !asAnswer(t, err).Denied() {
		t.Errorf("got %v", err)
	}
}

func TestATagWhoseDigestIsNotToldIsRead(t *testing.T) {
	for name, digest := range map[string]string{"none": "", "no digest": "sha256:xyz", "one in capitals": "SHA256:ABC", "too long": strings.Repeat("a", 5000)} {
		t.Run(name, func(t *testing.T) {
			fake := registrytest.Start(t, registrytest.Rules{Fault: on("HEAD", "", registrytest.Fault{Amend: func(status int, h http.Header) int {
				h.Set("Docker-Content-Digest", digest)
				return status
			}})})
			repo := repository(t, fake, registry.Options{})
			want := putIndex(t, repo, "v1", "")
			for range 2 {
				if got, found, err := repo.Head(t.Context(), "v1"); err != nil || !found || got != want {
					t.Errorf("got %s, %t, %v; want %s", got, found, err, want)
				}
			}
			if len(fake.Trace()) != 4 { // one PUT, one HEAD, two GET
				t.Errorf("the requests were %v", fake.Trace())
			}
		})
	}
}

func TestArtifactoryIsKnownUnderAnyName(t *testing.T) {
	for header, value := range map[string]string{"X-Artifactory-Id": "0123", "X-Jfrog-Version": "Artifactory/7.90.5", "Server": "Artifactory/7.4", "X-Artifactory-Node-Id": "n"} {
		t.Run(header, func(t *testing.T) {
			fake := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
				if r.Method == http.MethodGet {
					return &registrytest.Fault{Status: 403, Header: http.Header{header: {value}}}
				}
				return &registrytest.Fault{Amend: func(status int, h http.Header) int {
					h.Set(header, value)
					return status
				}}
			}})
			yes := true
			repo := repository(t, fake, registry.Options{})
			if !repo.Mounts() {
				t.Error("mounts are ruled out before anything is known")
			}
			if _, _, found, err := repo.Manifest(t.Context(), "sha256-0", 1000); err != nil || found {
				t.Errorf("a manifest that is not there: %t, %v", found, err)
			}
			if repo.Mounts() || repo.MountsItself(true) {
				t.Error("mounts are asked for")
			}
			// Whoever runs it knows better.
			repo = repository(t, fake, registry.Options{Hosts: map[string]registry.HostOptions{fake.Host: {Settings: registry.Settings{Mounts: &yes}}}})
			if _, _, err := repo.Head(t.Context(), "v1"); err != nil {
				t.Fatal(err)
			}
			if !repo.Mounts() {
				t.Error("mounts are ruled out although somebody said that they work")
			}
		})
	}
	fake := registrytest.Start(t, registrytest.Rules{Fault: on(http.MethodGet, "", registrytest.Fault{Status: 403, Header: http.Header{"Server": {"nginx"}}})})
	_, _, _, err := repository(t, fake, registry.Options{}).Manifest(t.Context(), "sha256-0", 1000) //nolint:dogsled // the refusal is all that matters here
	if err == nil || !asAnswer(t, err).Denied() {
		t.Errorf("any other registry: got %v, want a refusal", err)
	}
}

func TestWhatSomebodySaysOfARegistryIsFollowed(t *testing.T) {
	no, yes := false, true
	fake := registrytest.Start(t, registrytest.Rules{MultiTag: true, Fault: on(http.MethodGet, "sha256-", registrytest.Fault{Status: 403})})
	repo := repository(t, fake, registry.Options{Hosts: map[string]registry.HostOptions{fake.Host: {Settings: registry.Settings{
		Mounts: &no, TagsQuery: &no, ReferrersAPI: &yes, Head: &no, DeniesUnknown: &yes, Chunk: 1 << 20,
	}}}})
	if repo.Mounts() || repo.MountsItself(true) || repo.SetsManyTags() {
		t.Error("mounts, or several tags at once, are tried")
	}
	data, digest := noise(1, 5<<19)
	if _, err := push(t, repo, digest, &at{data: data}); err != nil {
		t.Fatal(err)
	}
	index := putIndex(t, repo, "v1", "")
	if got, found, err := repo.Head(t.Context(), "v1"); err != nil || !found || got != index {
		t.Errorf("tag: %s, %t, %v", got, found, err)
	}
	written, err := repo.PutManifest(t.Context(), index.String(), indexType,
		[]byte(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[],"annotations":{"a":""}}`, indexType)), "a", "b")
	if err != nil || !written.Subject || len(written.Tags) > 0 {
		t.Errorf("written %+v, %v", written, err)
	}
	if _, _, found, err := repo.Manifest(t.Context(), "sha256-0", 1000); err != nil || found {
		t.Errorf("403 for what is not there: %t, %v", found, err)
	}
	want := "POST upload, PATCH upload, PATCH upload, PUT upload, PUT tag, GET tag, PUT manifest, GET tag"
	var got []string
	for _, e := range fake.Trace() {
		got = append(got, e.Request)
	}
	if strings.Join(got, ", ") != want {
		t.Errorf("the requests were %s, want %s", strings.Join(got, ", "), want)
	}
}

func TestAManifestThatIsTooLargeIsNotRead(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{})
	repo := repository(t, fake, registry.Options{})
	putIndex(t, repo, "v1", strings.Repeat("x", 5000))
	if _, _, _, err := repo.Manifest(t.Context(), "v1", 5000); err == nil || asAnswer(t, err).Passing() || !strings.Contains(err.Error(), "larger than 4.9 KiB") {
		t.Errorf("got error %v", err)
	}
	if _, _, found, err := repo.Manifest(t.Context(), "v1", 6000); err != nil || !found {
		t.Errorf("within the limit: %t, %v", found, err)
	}
}

func TestAnAnswerThatBreaksOffIsAskedForAgain(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{Fault: first(2, on(http.MethodGet, "/manifests/", registrytest.Fault{Answer: 10}))})
	repo := repository(t, fake, registry.Options{})
	putIndex(t, repo, "v1", "")
	if data, _, found, err := repo.Manifest(t.Context(), "v1", 1000); err != nil || !found || len(data) < 20 {
		t.Errorf("read %q, %t, %v", data, found, err)
	}
	fake.SetRules(registrytest.Rules{Fault: on(http.MethodGet, "/manifests/", registrytest.Fault{Answer: 10})})
	if _, _, _, err := repo.Manifest(t.Context(), "v1", 1000); err == nil || !asAnswer(t, err).Passing() {
		t.Errorf("got error %v", err)
	}
}

func TestATagOfAManifestThatIsTooLargeToReadIsThere(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{Fault: on(http.MethodHead, "", registrytest.Fault{Status: 405})})
	fake.PutManifest("acme/app", "v1", indexType, make([]byte, 5<<20))
	digest, found, err := repository(t, fake, registry.Options{}).Head(t.Context(), "v1")
	if err != nil || !found || digest != (v1.Hash{}) {
		t.Errorf("got %s, %t, %v", digest, found, err)
	}
}
