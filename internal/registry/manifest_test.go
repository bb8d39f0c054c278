package registry_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/clock/clocktest"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

var emptyIndex = []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)

func digestOf(t *testing.T, data []byte) v1.Hash {
	t.Helper()
	digest, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func TestSeveralTagsThatAreRefusedAreDoneWithout(t *testing.T) {
	for _, status := range []int{400, 403, 404, 405, 409, 413, 414, 422, 431, 501, 505, 500, 502, 0} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			fake := registrytest.Start(t, registrytest.Rules{MultiTag: true, Fault: on(http.MethodPut, "tag=", registrytest.Fault{Status: status})})
			repo := repository(t, fake, registry.Options{})
			digest := digestOf(t, emptyIndex)
			written, err := repo.PutManifest(t.Context(), digest.String(), indexType, emptyIndex, "a", "b")
			if err != nil || len(written.Tags) > 0 {
				t.Fatalf("written %+v, %v", written, err)
			}
			if _, found := fake.Manifest("acme/app", digest.String()); !found {
				t.Error("the manifest is not there")
			}
			if fake.Total() > 3 {
				t.Errorf("the requests were %v", fake.Trace())
			}
			// What is no answer to the tags says nothing about the next.
			if passing := status == 0 || status == 500 || status == 502 || status == 409; repo.SetsManyTags() != passing {
				t.Errorf("several tags are tried again: %t, want %t", repo.SetsManyTags(), passing)
			}
		})
	}
}

func TestAnAddressThatIsTooLongGetsShorter(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{MultiTag: true, Fault: func(r *http.Request) *registrytest.Fault {
		if len(r.URL.Query()["tag"]) > 3 {
			return &registrytest.Fault{Status: http.StatusRequestURITooLong}
		}
		return nil
	}})
	repo := repository(t, fake, registry.Options{})
	tags := []string{"a", "b", "c", "d", "e", "f", "g"}
	for n, want := range []int{0, 3, 3} {
		written, err := repo.PutManifest(t.Context(), digestOf(t, emptyIndex).String(), indexType, emptyIndex, tags...)
		if err != nil || len(written.Tags) != want {
			t.Errorf("%d: written %+v, %v; want %d tags", n, written, err, want)
		}
	}
}

func TestAManifestThatIsWrongIsRefusedOnce(t *testing.T) {
	for _, code := range []string{"MANIFEST_INVALID", "SIZE_INVALID", "NAME_INVALID"} {
		fake := registrytest.Start(t, registrytest.Rules{Fault: on(http.MethodPut, "", registrytest.Fault{Status: 400, Code: code})})
		_, err := repository(t, fake, registry.Options{}).PutManifest(t.Context(), "v1", indexType, emptyIndex, "a", "b")
		if answer := asAnswer(t, err); answer.Passing() || fake.Total() != 1 {
			t.Errorf("%s: got error %v after %v", code, err, fake.Trace())
		}
	}
}

func TestBlobsThatAreNotSeenYetAreWaitedFor(t *testing.T) {
	for _, code := range []string{"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "MANIFEST_UNVERIFIED"} {
		for unseen, want := range map[int]bool{1: true, 4: true, 99: false} {
			c := clocktest.New()
			began := c.Now()
			fake := registrytest.Start(t, registrytest.Rules{Fault: first(unseen, on(http.MethodPut, "/manifests/", registrytest.Fault{Status: 404, Code: code}))})
			repo := repository(t, fake, registry.Options{Now: c.Now, Wait: c.Wait})
			data, digest := noise(1, 1000)
			if _, err := push(t, repo, digest, &at{data: data}); err != nil {
				t.Fatal(err)
			}
			_, err := repo.PutManifest(t.Context(), "v1", indexType, emptyIndex)
			if (err == nil) != want {
				t.Errorf("%s, %d times: got error %v", code, unseen, err)
			}
			if err != nil {
				answer := asAnswer(t, err)
				if !answer.Unknown() || !answer.Passing() || c.Now().Sub(began) < time.Second || requests(fake, "PUT tag") != 5 {
					t.Errorf("%s: got error %v (unknown %t, passing %t) after %s and %v", code, err, answer.Unknown(), answer.Passing(), c.Now().Sub(began), fake.Trace())
				}
			}
		}
	}
}

func TestWhatWasNotSentAMomentAgoIsNotWaitedFor(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{Fault: on(http.MethodPut, "/manifests/", registrytest.Fault{Status: 400, Code: "MANIFEST_BLOB_UNKNOWN"})})
	_, err := repository(t, fake, registry.Options{}).PutManifest(t.Context(), "v1", indexType, emptyIndex)
	if answer := asAnswer(t, err); !answer.Unknown() || fake.Total() != 1 {
		t.Errorf("got error %v after %v", err, fake.Trace())
	}
}

func TestMountsThatAreNotThereAreNotTrusted(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{Fault: on(http.MethodPut, "/manifests/", registrytest.Fault{Status: 400, Code: "MANIFEST_BLOB_UNKNOWN"})})
	repo := repository(t, fake, registry.Options{})
	data, digest := noise(1, 1000)
	fake.PutBlob("acme/base", data)
	if mounted, err := pushFrom(t, repo, "acme/base", digest, data); err != nil || !mounted {
		t.Fatal(mounted, err)
	}
	if _, err := repo.PutManifest(t.Context(), "v1", indexType, emptyIndex); err == nil {
		t.Fatal("the manifest was taken")
	}
	if repo.Mounts() || repo.MountsItself(true) {
		t.Error("mounts are asked for again")
	}
}

func TestAManifestThatIsThereIsNotSentAgain(t *testing.T) {
	for name, fault := range map[string]registrytest.Fault{"504": {Status: 504, Late: true}, "502": {Status: 502, Late: true}, "cut": {Late: true}} {
		for _, reference := range []string{"v1", digestOf(t, emptyIndex).String()} {
			fake := registrytest.Start(t, registrytest.Rules{ImmutableTags: true, Fault: on(http.MethodPut, "/manifests/", fault)})
			if _, err := repository(t, fake, registry.Options{}).PutManifest(t.Context(), reference, indexType, emptyIndex); err != nil {
				t.Errorf("%s, %s: %v", name, reference, err)
			}
			if fake.Total() != 2 {
				t.Errorf("%s, %s: the requests were %v, want a PUT and a lookup", name, reference, fake.Trace())
			}
		}
	}
}

func TestWhetherSubjectsAreTrackedIsAskedAgain(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{Referrers: true, Fault: first(1, on(http.MethodPut, "/manifests/", registrytest.Fault{Status: 504, Late: true}))})
	data := []byte(`{"schemaVersion":2,"manifests":[],"subject":{"mediaType":"a/b","size":1,"digest":"` + digestOf(t, emptyIndex).String() + `"}}`)
	written, err := repository(t, fake, registry.Options{}).PutManifest(t.Context(), digestOf(t, data).String(), indexType, data)
	if err != nil || !written.Subject {
		t.Errorf("written %+v, %v, after %v", written, err, fake.Trace())
	}
}

func TestAGoodAnswerThatIsOddIsLookedBehind(t *testing.T) {
	for _, status := range []int{200, 202, 204} {
		for _, told := range []bool{true, false} {
			for _, there := range []bool{true, false} {
				fault := registrytest.Fault{Status: status}
				if there {
					fault = registrytest.Fault{Amend: func(_ int, h http.Header) int {
						if !told {
							h.Del("Docker-Content-Digest")
						}
						return status
					}}
				}
				fake := registrytest.Start(t, registrytest.Rules{Fault: on(http.MethodPut, "/manifests/", fault)})
				_, err := repository(t, fake, registry.Options{}).PutManifest(t.Context(), "v1", indexType, emptyIndex)
				if (err == nil) != there {
					t.Errorf("%d, and it is there: %t: got error %v", status, there, err)
				}
				if err != nil && !asAnswer(t, err).Passing() {
					t.Errorf("%d: the error %v is said to be for good", status, err)
				}
				if there && told && fake.Total() != 1 {
					t.Errorf("%d: the requests were %v, want no lookup where the digest is told", status, fake.Trace())
				}
			}
		}
	}
}

func TestAnAbsurdRetryAfterIsBounded(t *testing.T) {
	for _, value := range []string{"1e300", "999999999", "+Inf", "Fri, 31 Dec 9999 23:59:59 GMT", "-5", "NaN", "soon", ""} {
		var asked atomic.Int64
		fake := registrytest.Start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault {
			asked.Add(1)
			return &registrytest.Fault{Status: 429, Header: http.Header{"Retry-After": {value}}}
		}})
		c := clocktest.New()
		repo := repository(t, fake, registry.Options{Now: c.Now, Wait: c.Wait})
		_, _, err := repo.Head(t.Context(), "v1")
		answer := asAnswer(t, err)
		if answer.RetryAfter < 0 || answer.RetryAfter > time.Hour || asked.Load() > 5 {
			t.Errorf("%q: come back in %s, after %d requests", value, answer.RetryAfter, asked.Load())
		}
		// And it is over when it is over.
		fake.SetRules(registrytest.Rules{})
		c.Pass(time.Hour)
		if _, _, err := repo.Head(t.Context(), "v1"); err != nil {
			t.Errorf("%q: an hour later: %v", value, err)
		}
	}
}

func TestABaseLayerIsReadFromWhereItWasAskedFor(t *testing.T) {
	data, digest := noise(1, 1000)
	for name, c := range map[string]struct {
		amend func(int, http.Header) int
		want  string // in the error
	}{
		"a range that begins later": {func(_ int, h http.Header) int { h.Set("Content-Range", "bytes 900-999/1000"); return 206 }, "byte 900"},
		"a range that nobody reads": {func(status int, h http.Header) int { h.Set("Content-Range", "x"); return status }, ""},
		"a page":                    {func(_ int, h http.Header) int { h.Set("Content-Type", "text/html"); return 200 }, "HTML"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := registrytest.Start(t, registrytest.Rules{Fault: on(http.MethodGet, "/blobs/", registrytest.Fault{Amend: c.amend})})
			fake.PutBlob("acme/app", data)
			r, err := repository(t, fake, registry.Options{}).ReadBlob(t.Context(), digest, 500)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got error %v, want one with %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data[500:]) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
		})
	}
}
