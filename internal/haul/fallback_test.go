package haul_test

import (
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

func TestTheIndexOfReferrersIsWrittenOnceWhereTagsAreImmutable(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		server := castest.Start(t)
		rules := registrytest.Rules{ImmutableTags: true}
		fake := registrytest.Start(t, rules)
		client := server.Dial(t, cas.Options{})
		spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
		refer(t, server, spec, "sbom")
		signature := refer(t, server, spec, "signature")
		var written, failing atomic.Int32
		rules.Fault = func(r *http.Request) *registrytest.Fault {
			if r.Method == http.MethodPut && path.Base(r.URL.Path) == fallbackOf(spec.Root) {
				written.Add(1)
			}
			if r.Method == http.MethodPut && path.Base(r.URL.Path) == signature.String() && failing.Load() > 0 {
				return &registrytest.Fault{Status: http.StatusBadGateway}
			}
			return nil
		}
		fake.SetRules(rules)
		if interrupted {
			failing.Store(1)
			_, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec))
			wantClass(t, err, haul.Unavailable)
			failing.Store(0)
		}
		if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
			t.Fatal(err)
		}
		checkSpec(t, fake, spec, false)
		if written.Load() != 1 {
			t.Errorf("the index was written %d times, want once", written.Load())
		}
	}
}

func TestAnIndexOfReferrersThatCannotBeChangedIsNoSuccess(t *testing.T) {
	server, fake := castest.Start(t), registrytest.Start(t, registrytest.Rules{ImmutableTags: true})
	client := server.Dial(t, cas.Options{})
	first := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
	refer(t, server, first, "sbom")
	if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(first)); err != nil {
		t.Fatal(err)
	}
	second := image(t, server, fake.Host, "acme/app", []string{"v2"}, noise(1, 100))
	refer(t, server, second, "sbom")
	refer(t, server, second, "signature")
	for range 2 {
		_, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(second))
		failed := wantClass(t, err, haul.Rejected)
		if !strings.Contains(failed.Text, fallbackOf(second.Root)) || !strings.Contains(failed.Text, "immutable") {
			t.Errorf("the text is %q", failed.Text)
		}
		if _, found := fake.Manifest("acme/app", "v2"); found {
			t.Error("the tag is there, and the signature is not listed")
		}
	}
}

func TestTheIndexOfReferrersKeepsWhatOthersPutIn(t *testing.T) {
	server, fake := castest.Start(t), registrytest.Start(t, registrytest.Rules{})
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
	refer(t, server, spec, "sbom")
	theirs := fake.PutManifest("acme/app", "theirs", string(types.OCIImageIndex), []byte(`{"schemaVersion":2,"manifests":[]}`))
	const entry = `{"mediaType":"application/vnd.oci.image.index.v1+json","digest":%q,"size":34,"artifactType":"scan","newer":["field"]}`
	const gone = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	fake.PutManifest("acme/app", fallbackOf(spec.Root), string(types.OCIImageIndex), fmt.Appendf(nil,
		`{"schemaVersion":2,"mediaType":%q,"annotations":{"by":"them"},"manifests":[`+entry+","+entry+`]}`, types.OCIImageIndex, theirs, gone))
	if _, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	checkSpec(t, fake, spec, false)
	index, _ := fake.Manifest("acme/app", fallbackOf(spec.Root))
	for _, kept := range []string{theirs, `"newer":["field"]`, `"by":"them"`} {
		if !strings.Contains(string(index), kept) {
			t.Errorf("the index has lost %s: %s", kept, index)
		}
	}
	// The registry refuses an index with an entry that it has no longer.
	if strings.Contains(string(index), gone) {
		t.Errorf("the index has what is gone: %s", index)
	}
}

func TestAnImageUnderTheTagForReferrersIsLeftAlone(t *testing.T) {
	for name, data := range map[string]string{
		"an image":    `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[]}`,
		"no document": `[1,2,3]`,
	} {
		t.Run(name, func(t *testing.T) {
			server, fake := castest.Start(t), registrytest.Start(t, registrytest.Rules{})
			spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
			refer(t, server, spec, "sbom")
			fake.PutManifest("acme/app", fallbackOf(spec.Root), string(types.OCIManifestSchema1), []byte(data))
			_, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec))
			if failed := wantClass(t, err, haul.Rejected); !strings.Contains(failed.Text, fallbackOf(spec.Root)) {
				t.Errorf("the text is %q", failed.Text)
			}
			if kept, _ := fake.Manifest("acme/app", fallbackOf(spec.Root)); string(kept) != data {
				t.Errorf("the tag was written over with %s", kept)
			}
		})
	}
}

func TestTheIndexOfReferrersKeepsWhatOthersSayInIt(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
	withReferrer(t, spec)
	tag := strings.ReplaceAll(spec.Root.String(), ":", "-")
	others := `"annotations":{"by":"somebody else"},"vendor":{"n":12345678901234567890}`
	signature := `{"schemaVersion":2,"manifests":[]}`
	listed := descriptor(types.OCIImageIndex, []byte(signature))
	entry := fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d,"platform":{"os":"linux","architecture":"arm","vendor":1}}`, listed.MediaType, listed.Digest, listed.Size)
	put(t, fake.Host+"/v2/acme/app/manifests/"+listed.Digest.String(), signature)
	put(t, fake.Host+"/v2/acme/app/manifests/"+tag, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[`+entry+`],`+others+`}`)
	if _, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	index, _ := fake.Manifest("acme/app", tag)
	for _, want := range []string{entry + ",", others, spec.Manifests[3].Digest.String()} {
		if !strings.Contains(string(index), want) {
			t.Errorf("the index is\n%s\nand lacks %s", index, want)
		}
	}
}

// put writes an index over HTTP.
func put(t *testing.T, address, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+address, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", string(types.OCIImageIndex))
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusCreated {
		t.Fatalf("PUT %s: %s", address, answer.Status)
	}
}
