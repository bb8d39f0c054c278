package haul_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

// refer adds an artifact to a spec whose subject is the spec's root. Its file is put
// into the cache.
func refer(t testing.TB, server *castest.Server, spec *pushspec.Spec, artifactType string) v1.Hash {
	t.Helper()
	file, empty := []byte("the file of a "+artifactType), []byte("{}")
	server.Put(file)
	layer, config := descriptor("text/plain", file), descriptor("application/vnd.oci.empty.v1+json", empty)
	var root v1.Descriptor
	for _, m := range spec.Manifests {
		if m.Digest == spec.Root {
			root = m
			root.Data = nil
		}
	}
	data, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": types.OCIManifestSchema1, "artifactType": artifactType,
		"config": config, "layers": []v1.Descriptor{layer}, "subject": root,
	})
	if err != nil {
		t.Fatal(err)
	}
	manifest := descriptor(types.OCIManifestSchema1, data)
	manifest.Data = data
	spec.Manifests = append(spec.Manifests, manifest)
	spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: layer, Sources: []pushspec.Source{{CAS: layer.Digest.String()}}})
	have := false
	for _, blob := range spec.Blobs {
		have = have || blob.Digest == config.Digest
	}
	if !have {
		config.Data = empty
		spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: config})
	}
	if err := spec.Validate(); err != nil {
		t.Fatalf("the test's spec is wrong: %v", err)
	}
	return manifest.Digest
}

// checkSpec looks whether all of a spec is in a registry: each manifest with its
// blobs, each referrer listed with the root, and the tags.
func checkSpec(t testing.TB, fake *registrytest.Registry, spec *pushspec.Spec, listsReferrers bool) {
	t.Helper()
	repository := spec.Destination.Repository
	listing, _ := fake.Manifest(repository, fallbackOf(spec.Root))
	for _, m := range spec.Manifests {
		if _, found := fake.Manifest(repository, m.Digest.String()); !found {
			t.Errorf("manifest %s is not there", m.Digest)
		}
		if strings.Contains(string(m.Data), `"subject"`) && !listsReferrers && !strings.Contains(string(listing), m.Digest.String()) {
			t.Errorf("referrer %s is not listed: %s", m.Digest, listing)
		}
	}
	for _, blob := range spec.Blobs {
		if !fake.HasBlob(repository, blob.Digest.String()) {
			t.Errorf("blob %s is not there", blob.Digest)
		}
	}
	for _, tag := range spec.Destination.Tags {
		if data, _ := fake.Manifest(repository, tag); descriptor("", data).Digest != spec.Root {
			t.Errorf("tag %s does not point to the root", tag)
		}
	}
}

func fallbackOf(digest v1.Hash) string { return strings.ReplaceAll(digest.String(), ":", "-") }

// wantClass fails the test unless an error is of the class.
func wantClass(t testing.TB, err error, want haul.Class) *haul.Error {
	t.Helper()
	var failed *haul.Error
	if !errors.As(err, &failed) || failed.Class != want {
		t.Fatalf("got error %v, want class %s", err, want)
	}
	return failed
}

func TestATagWaitsUntilAllOfTheSpecIsThere(t *testing.T) {
	isPut := func(r *http.Request, reference string) bool {
		return r.Method == http.MethodPut && path.Base(r.URL.Path) == reference
	}
	for _, c := range []struct {
		name      string
		referrers bool
		// fails tells which requests fail in the first attempt.
		fails func(r *http.Request, root, sbom, signature string) bool
	}{
		{"the first referrer, listed by the registry", true, func(r *http.Request, _, sbom, _ string) bool { return isPut(r, sbom) }},
		{"the last referrer, listed by the registry", true, func(r *http.Request, _, _, signature string) bool { return isPut(r, signature) }},
		{"the first referrer", false, func(r *http.Request, _, sbom, _ string) bool { return isPut(r, sbom) }},
		{"the last referrer", false, func(r *http.Request, _, _, signature string) bool { return isPut(r, signature) }},
		{"the index of referrers", false, func(r *http.Request, root, _, _ string) bool {
			return isPut(r, strings.ReplaceAll(root, ":", "-"))
		}},
		{"a look at the index of referrers", false, func(r *http.Request, root, _, _ string) bool {
			return r.Method == http.MethodGet && path.Base(r.URL.Path) == strings.ReplaceAll(root, ":", "-")
		}},
		{"a blob of a referrer", false, func(r *http.Request, _, _, _ string) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/") && r.ContentLength == int64(len("the file of a signature"))
		}},
	} {
		for _, same := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, same daemon %t", c.name, same), func(t *testing.T) {
				server := castest.Start(t)
				fake := registrytest.Start(t, registrytest.Rules{Referrers: c.referrers})
				client := server.Dial(t, cas.Options{})
				spec := image(t, server, fake.Host, "acme/app", []string{"v1", "v2"}, noise(1, 100))
				sbom, signature := refer(t, server, spec, "sbom"), refer(t, server, spec, "signature")
				fake.SetRules(registrytest.Rules{Referrers: c.referrers, Fault: func(r *http.Request) *registrytest.Fault {
					if c.fails(r, spec.Root.String(), sbom.String(), signature.String()) {
						return &registrytest.Fault{Status: http.StatusServiceUnavailable}
					}
					return nil
				}})
				h := impatient(t, client, registry.Options{})
				_, err := h.Haul(t.Context(), request(spec))
				wantClass(t, err, haul.Unavailable)
				for _, tag := range spec.Destination.Tags {
					if _, found := fake.Manifest("acme/app", tag); found {
						t.Errorf("tag %s is there before all of the image is", tag)
					}
				}
				fake.SetRules(registrytest.Rules{Referrers: c.referrers})
				if !same {
					h = impatient(t, client, registry.Options{})
				}
				if _, err := h.Haul(t.Context(), request(spec)); err != nil {
					t.Fatal(err)
				}
				checkSpec(t, fake, spec, c.referrers)
			})
		}
	}
}

func TestAReferrerOfAnImageThatIsThereIsPushed(t *testing.T) {
	for _, listed := range []bool{true, false} {
		for _, same := range []bool{true, false} {
			t.Run(fmt.Sprintf("registry lists referrers %t, same daemon %t", listed, same), func(t *testing.T) {
				server := castest.Start(t)
				fake := registrytest.Start(t, registrytest.Rules{Referrers: listed})
				client := server.Dial(t, cas.Options{})
				h := impatient(t, client, registry.Options{})
				for i, artifact := range []string{"", "sbom", "signature"} {
					// The image is always the same; what comes with it grows.
					spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
					for _, earlier := range []string{"sbom", "signature"}[:i] {
						refer(t, server, spec, earlier)
					}
					if !same {
						h = impatient(t, client, registry.Options{})
					}
					result, err := h.Haul(t.Context(), request(spec))
					if err != nil {
						t.Fatal(err)
					}
					if result.AlreadyThere {
						t.Errorf("with %q: the result is %+v, as if nothing were new", artifact, result)
					}
					checkSpec(t, fake, spec, listed)
					again, err := h.Haul(t.Context(), request(spec))
					if err != nil {
						t.Fatal(err)
					}
					if !again.AlreadyThere || again.Requests != 1 {
						t.Errorf("with %q, a second time: the result is %+v, want nothing new in one request", artifact, again)
					}
				}
			})
		}
	}
}

// What another process has pushed is looked up once.
func TestWhatAnImageComesWithIsLookedUpOnce(t *testing.T) {
	for _, c := range []struct {
		listed bool
		want   int
	}{
		{true, 2},  // the tag, and the list of referrers
		{false, 5}, // the tag, the list that there is not, two referrers, and their index
	} {
		server := castest.Start(t)
		fake := registrytest.Start(t, registrytest.Rules{Referrers: c.listed})
		client := server.Dial(t, cas.Options{})
		spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
		refer(t, server, spec, "sbom")
		refer(t, server, spec, "signature")
		if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
			t.Fatal(err)
		}
		h := impatient(t, client, registry.Options{})
		for try, want := range []int{c.want, 1} {
			result, err := h.Haul(t.Context(), request(spec))
			if err != nil {
				t.Fatal(err)
			}
			if !result.AlreadyThere || result.Requests != want {
				t.Errorf("registry lists referrers %t, time %d: the result is %+v, want %d requests", c.listed, try, result, want)
			}
		}
	}
}

func TestWhatWasLostUnderARightTagIsPushedAgain(t *testing.T) {
	for _, listed := range []bool{true, false} {
		server := castest.Start(t)
		fake := registrytest.Start(t, registrytest.Rules{Referrers: listed})
		client := server.Dial(t, cas.Options{})
		spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
		withReferrer(t, spec)
		if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
			t.Fatal(err)
		}
		lost := []string{spec.Blobs[0].Digest.String()}
		for _, m := range spec.Manifests {
			if m.Digest != spec.Root {
				lost = append(lost, m.Digest.String())
			}
		}
		for _, digest := range lost {
			fake.Forget("acme/app", digest)
		}
		if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
			t.Fatal(err)
		}
		checkSpec(t, fake, spec, listed)
	}
}

// A new tag is refused by a registry that has lost what the root refers to; this
// process remembers all of it.
func TestWhatIsRememberedGrantsNothing(t *testing.T) {
	server, fake := castest.Start(t), registrytest.Start(t, registrytest.Rules{})
	h := impatient(t, server.Dial(t, cas.Options{}), registry.Options{})
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
	withReferrer(t, spec)
	if _, err := h.Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	for _, m := range spec.Manifests {
		fake.Forget("acme/app", m.Digest.String())
	}
	fake.Forget("acme/app", spec.Blobs[0].Digest.String())
	fake.Forget("acme/app", fallbackOf(spec.Root))
	spec.Destination.Tags = []string{"v2"}
	if _, err := h.Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	checkSpec(t, fake, spec, false)
}

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

func TestAnIndexOfReferrersThatOthersWriteAtTheSameTimeListsAll(t *testing.T) {
	server, fake := castest.Start(t), registrytest.Start(t, registrytest.Rules{})
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
	refer(t, server, spec, "sbom")
	theirs := fake.PutManifest("acme/app", "theirs", string(types.OCIImageIndex), []byte(`{"schemaVersion":2,"manifests":[]}`))
	var reads atomic.Int32
	fake.SetRules(registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodGet && path.Base(r.URL.Path) == fallbackOf(spec.Root) {
			if n := reads.Add(1); n == 2 || n == 3 {
				// They had read it before we wrote, and write now.
				fake.PutManifest("acme/app", fallbackOf(spec.Root), string(types.OCIImageIndex),
					fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":34}]}`, types.OCIImageIndex, types.OCIImageIndex, theirs))
			}
		}
		return nil
	}})
	if _, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	checkSpec(t, fake, spec, false)
	if index, _ := fake.Manifest("acme/app", fallbackOf(spec.Root)); !strings.Contains(string(index), theirs) {
		t.Errorf("the index is %s, without theirs", index)
	}
}

func TestAnIndexOfReferrersThatNeverListsOursIsNoSuccess(t *testing.T) {
	server, fake := castest.Start(t), registrytest.Start(t, registrytest.Rules{})
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
	refer(t, server, spec, "sbom")
	fake.SetRules(registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodGet && path.Base(r.URL.Path) == fallbackOf(spec.Root) {
			fake.PutManifest("acme/app", fallbackOf(spec.Root), string(types.OCIImageIndex), []byte(`{"schemaVersion":2,"mediaType":"`+types.OCIImageIndex+`","manifests":[]}`))
		}
		return nil
	}})
	_, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec))
	wantClass(t, err, haul.Unavailable)
	if _, found := fake.Manifest("acme/app", "v1"); found {
		t.Error("the tag is there, and the referrer is not listed")
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

// The root itself may be about another image.
func TestARootWithASubjectIsListed(t *testing.T) {
	server, fake := castest.Start(t), registrytest.Start(t, registrytest.Rules{})
	client := server.Dial(t, cas.Options{})
	about := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
	signature := refer(t, server, about, "signature")
	alone := &pushspec.Spec{
		SchemaVersion: about.SchemaVersion, MediaType: about.MediaType, Target: about.Target, Root: signature,
		Destination: pushspec.Destination{Registry: fake.Host, Repository: "acme/app", Tags: []string{"signature"}},
		Manifests:   about.Manifests[1:], Blobs: about.Blobs[2:],
	}
	if err := alone.Validate(); err != nil {
		t.Fatal(err)
	}
	if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(alone)); err != nil {
		t.Fatal(err)
	}
	if index, _ := fake.Manifest("acme/app", fallbackOf(about.Root)); !strings.Contains(string(index), signature.String()) {
		t.Errorf("the index of referrers is %s", index)
	}
}

func TestDaemonsThatShareALockLoseNoReferrer(t *testing.T) {
	server, fake := castest.Start(t), registrytest.Start(t, registrytest.Rules{})
	client := server.Dial(t, cas.Options{})
	var daemons sync.Mutex
	lock := claims{referrers: func(v1.Hash) (haul.Claim, error) {
		daemons.Lock()
		return haul.Claim{Release: func(bool) { daemons.Unlock() }}, nil
	}}
	var hauls sync.WaitGroup
	var specs []*pushspec.Spec
	for i := range 20 {
		spec := image(t, server, fake.Host, "acme/app", []string{fmt.Sprintf("v%d", i)}, noise(1, 100))
		refer(t, server, spec, fmt.Sprintf("artifact %d", i))
		specs = append(specs, spec)
		h := impatient(t, client, registry.Options{})
		hauls.Go(func() {
			r := request(spec)
			r.Claims = lock
			if _, err := h.Haul(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	hauls.Wait()
	for _, spec := range specs {
		checkSpec(t, fake, spec, false)
	}
}
