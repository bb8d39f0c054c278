package registry_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

const layer = 4 << 20

func TestABlobRefusedInOnePutComesInAPatch(t *testing.T) {
	for _, status := range []int{400, 404, 405, 411, 415, 422, 501} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			fake := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
				if r.Method == http.MethodPut && r.ContentLength > 0 {
					return &registrytest.Fault{Status: status, After: layer}
				}
				return nil
			}})
			repo := repository(t, fake, registry.Options{})
			for n := range byte(2) {
				data, digest := noise(n, layer)
				if _, err := push(t, repo, digest, &at{data: data}); err != nil || !fake.HasBlob("acme/app", digest.String()) {
					t.Fatalf("%v, after %v", err, fake.Trace())
				}
			}
			// The second one comes so at once.
			if got := sent(fake, "PUT upload"); got != layer {
				t.Errorf("%d bytes were sent in PUTs, want %d", got, layer)
			}
			if got := sent(fake, "PATCH upload"); got != 2*layer {
				t.Errorf("%d bytes were sent in PATCHes, want %d", got, 2*layer)
			}
		})
	}
}

func TestAFinalAnswerEndsAnUpload(t *testing.T) {
	for name, c := range map[string]struct {
		fault registrytest.Fault
		most  int64
	}{
		"404":                       {registrytest.Fault{Status: 404}, 2},
		"404, the blob is unknown":  {registrytest.Fault{Status: 404, Code: "BLOB_UNKNOWN"}, 2},
		"404, the name is unknown":  {registrytest.Fault{Status: 404, Code: "NAME_UNKNOWN"}, 1},
		"404, a session is unknown": {registrytest.Fault{Status: 404, Code: "BLOB_UPLOAD_UNKNOWN"}, 3},
		"400":                       {registrytest.Fault{Status: 400}, 2},
		"400, another size":         {registrytest.Fault{Status: 400, Code: "SIZE_INVALID"}, 1},
		"400, another digest":       {registrytest.Fault{Status: 400, Code: "DIGEST_INVALID"}, 3},
		"403":                       {registrytest.Fault{Status: 403}, 1},
		"405":                       {registrytest.Fault{Status: 405}, 2},
		"409":                       {registrytest.Fault{Status: 409}, 1},
		"451":                       {registrytest.Fault{Status: 451}, 1},
		"501":                       {registrytest.Fault{Status: 501}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			c.fault.After = layer
			fake := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
				if r.Method == http.MethodPut || r.Method == http.MethodPatch {
					return &c.fault
				}
				return nil
			}})
			data, digest := noise(1, layer)
			_, err := push(t, repository(t, fake, registry.Options{}), digest, &at{data: data})
			if answer := asAnswer(t, err); answer.Status != c.fault.Status || answer.Passing() {
				t.Errorf("got error %v", err)
			}
			if got := sent(fake, "PUT upload") + sent(fake, "PATCH upload"); got > c.most*layer {
				t.Errorf("%d bytes were sent for a layer of %d, want at most %d times as many", got, layer, c.most)
			}
		})
	}
}

// limited refuses what is larger, as a proxy does.
func limited(limit int64) func(*http.Request) *registrytest.Fault {
	return func(r *http.Request) *registrytest.Fault {
		if r.ContentLength > limit {
			return &registrytest.Fault{Status: http.StatusRequestEntityTooLarge, Body: "<html>413</html>"}
		}
		return nil
	}
}

func TestALayerTooLargeForAProxyComesInChunks(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	for _, c := range []struct {
		limit int64
		least int64 // what the registry takes
		fails bool
	}{
		{limit: 1 << 20}, {limit: 5 << 20}, {limit: 17 << 20},
		{limit: 17 << 20, least: 5 << 20},
		{limit: 2 << 20, least: 5 << 20, fails: true},
		{limit: 1 << 19, fails: true},
	} {
		t.Run(fmt.Sprintf("limit %d, least %d", c.limit, c.least), func(t *testing.T) {
			const size = 20<<20 + 5
			fake := registrytest.Start(t, registrytest.Rules{MinChunk: c.least, Fault: limited(c.limit)})
			repo := repository(t, fake, registry.Options{})
			for n := range byte(2) {
				data, digest := noise(n, size)
				_, err := push(t, repo, digest, &at{data: data})
				if c.fails {
					if err == nil || asAnswer(t, err).Status != http.StatusRequestEntityTooLarge {
						t.Fatalf("got error %v, want 413", err)
					}
					return
				}
				if err != nil || !fake.HasBlob("acme/app", digest.String()) {
					t.Fatalf("%v, after %v", err, fake.Trace())
				}
			}
			refused := 0
			for _, e := range fake.Trace() {
				if e.Status == http.StatusRequestEntityTooLarge {
					refused++
				}
			}
			if refused > 2 {
				t.Errorf("%d requests were refused, want the size to be remembered", refused)
			}
		})
	}
}

func TestTheLeastChunkIsObeyed(t *testing.T) {
	for _, c := range []struct{ quirk, least int64 }{
		{1 << 20, 2 << 20}, {1 << 20, 3<<20 + 7}, {4 << 20, 1 << 20}, {1 << 20, layer - 1}, {1 << 20, layer}, {1 << 20, 1 << 60},
	} {
		fake := registrytest.Start(t, registrytest.Rules{MinChunk: c.least})
		repo := repository(t, fake, registry.Options{Quirks: map[string]registry.Quirks{fake.Host: {Chunk: c.quirk}}})
		data, digest := noise(1, layer)
		if _, err := push(t, repo, digest, &at{data: data}); err != nil || !fake.HasBlob("acme/app", digest.String()) {
			t.Errorf("chunk %d, least %d: %v", c.quirk, c.least, err)
		}
		for _, e := range fake.Trace() {
			if e.Request == "PATCH upload" && e.Sent < c.least {
				t.Errorf("chunk %d, least %d: one of %d was sent", c.quirk, c.least, e.Sent)
			}
		}
	}
	for _, odd := range []string{"-1", "many", "", "9999999999999999999999"} {
		fake := registrytest.Start(t, registrytest.Rules{Fault: on("POST", "", registrytest.Fault{Amend: func(status int, h http.Header) int {
			h.Set("OCI-Chunk-Min-Length", odd)
			return status
		}})})
		repo := repository(t, fake, registry.Options{Quirks: map[string]registry.Quirks{fake.Host: {Chunk: 1 << 20}}})
		data, digest := noise(1, layer)
		if _, err := push(t, repo, digest, &at{data: data}); err != nil {
			t.Errorf("least %q: %v", odd, err)
		}
	}
}

func TestARangeThatCannotBeIsNotBelieved(t *testing.T) {
	for _, told := range []string{"0-99999999", "0-9223372036854775807", "0-99999999999999999999", "500-100", "100-4194302", "-5", "0--5", "x", "", "0-4194303", "bytes=0-3500000"} {
		t.Run(told, func(t *testing.T) {
			var mu sync.Mutex
			broke := 0
			fake := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case r.Method == http.MethodPut && broke < 2:
					broke++
					return &registrytest.Fault{After: 2 << 20}
				case r.Method == http.MethodGet:
					return &registrytest.Fault{Amend: func(status int, h http.Header) int {
						h.Set("Range", told)
						return status
					}}
				}
				return nil
			}})
			data, digest := noise(1, layer)
			if _, err := push(t, repository(t, fake, registry.Options{}), digest, &at{data: data}); err != nil || !fake.HasBlob("acme/app", digest.String()) {
				t.Errorf("%v, after %v", err, fake.Trace())
			}
		})
	}
}

func TestARegistryThatGoesBackAndForthIsGivenUp(t *testing.T) {
	n := 0
	var mu sync.Mutex
	fake := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		mu.Lock()
		defer mu.Unlock()
		n++
		switch r.Method {
		case http.MethodPut, http.MethodPatch:
			return &registrytest.Fault{Status: 500, After: 3 << 20}
		case http.MethodGet:
			return &registrytest.Fault{Amend: func(status int, h http.Header) int {
				h.Set("Range", fmt.Sprintf("0-%d", 1+n%3*1000))
				return status
			}}
		}
		return nil
	}})
	data, digest := noise(1, layer)
	_, err := push(t, repository(t, fake, registry.Options{}), digest, &at{data: data})
	if err == nil || !asAnswer(t, err).Passing() || fake.Total() > 30 {
		t.Errorf("got error %v after %d requests", err, fake.Total())
	}
}

func TestABlobThatIsThereIsNotSentAgain(t *testing.T) {
	for name, fault := range map[string]registrytest.Fault{
		"504": {Status: 504, Late: true}, "502": {Status: 502, Late: true}, "500": {Status: 500, Late: true}, "503": {Status: 503, Late: true},
		"524": {Status: 524, Late: true}, "cut": {Late: true},
	} {
		t.Run(name, func(t *testing.T) {
			fake := registrytest.Start(t, registrytest.Rules{Fault: on(http.MethodPut, "/uploads/", fault)})
			data, digest := noise(1, layer)
			if _, err := push(t, repository(t, fake, registry.Options{}), digest, &at{data: data}); err != nil {
				t.Fatal(err)
			}
			if got := sent(fake, "PUT upload"); got != layer || fake.Total() != 3 {
				t.Errorf("%d bytes were sent in %v, want the layer once and a lookup", got, fake.Trace())
			}
		})
	}
}

func TestABlobThatArrivesAfterAProxyGaveUpIsWaitedFor(t *testing.T) {
	for after, want := range map[int]int64{1: 1, 3: 1, 9: 2} {
		fake := registrytest.Start(t, registrytest.Rules{})
		// A registry that takes its time to put the blob in its place.
		unseen := first(after, on(http.MethodHead, "/blobs/", registrytest.Fault{Status: 404}))
		gone := first(1, on(http.MethodPut, "/uploads/", registrytest.Fault{Status: 504, Late: true}))
		fake.SetRules(registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
			if f := gone(r); f != nil {
				return f
			}
			return unseen(r)
		}})
		data, digest := noise(1, layer)
		if _, err := push(t, repository(t, fake, registry.Options{}), digest, &at{data: data}); err != nil {
			t.Fatal(err)
		}
		if got := sent(fake, "PUT upload"); got != want*layer {
			t.Errorf("seen after %d lookups: %d bytes were sent, want %d times the layer", after, got, want)
		}
	}
}

func TestAnUploadThatNeedsOnlyItsEndGetsIt(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{Fault: first(1, on(http.MethodPut, "/uploads/", registrytest.Fault{After: layer}))})
	data, digest := noise(1, layer)
	if _, err := push(t, repository(t, fake, registry.Options{}), digest, &at{data: data}); err != nil {
		t.Fatal(err)
	}
	if got := sent(fake, "PUT upload"); got != layer || !fake.HasBlob("acme/app", digest.String()) {
		t.Errorf("%d bytes were sent in %v", got, fake.Trace())
	}
}

func TestAnotherDigestThanOursIsAFailureThatNamesBoth(t *testing.T) {
	const other = "sha256:0000000000000000000000000000000000000000000000000000000000000001"
	say := func(name, value string) registrytest.Fault {
		return registrytest.Fault{Amend: func(status int, h http.Header) int {
			h.Set(name, value)
			return status
		}}
	}
	data, digest := noise(1, 1000)
	for name, c := range map[string]struct {
		fault func(*http.Request) *registrytest.Fault
		do    func(repo *registry.Repository) error
	}{
		"PUT of a blob": {on("PUT", "/uploads/", say("Docker-Content-Digest", other)), func(repo *registry.Repository) error {
			_, err := push(t, repo, digest, &at{data: data})
			return err
		}},
		"address of a blob": {on("PUT", "/uploads/", say("Location", "/v2/acme/app/blobs/"+other)), func(repo *registry.Repository) error {
			_, err := push(t, repo, digest, &at{data: data})
			return err
		}},
		"HEAD of a blob": {on("HEAD", "/blobs/", say("Docker-Content-Digest", other)), func(repo *registry.Repository) error {
			_, err := repo.HasBlob(t.Context(), digest)
			return err
		}},
		"mount": {on("POST", "mount=", say("Docker-Content-Digest", other)), func(repo *registry.Repository) error {
			_, err := repo.Start(t.Context(), digest, 1000, "acme/base")
			return err
		}},
		"address of a mount": {on("POST", "mount=", say("Location", "/v2/acme/app/blobs/"+other)), func(repo *registry.Repository) error {
			_, err := repo.Start(t.Context(), digest, 1000, "acme/base")
			return err
		}},
		"PUT of a tag": {on("PUT", "/manifests/", say("Docker-Content-Digest", other)), func(repo *registry.Repository) error {
			_, err := repo.PutManifest(t.Context(), "v1", indexType, []byte(`{}`))
			return err
		}},
		"address of a manifest": {on("PUT", "/manifests/", say("Location", "http://r.test/v2/acme/app/manifests/"+other)), func(repo *registry.Repository) error {
			_, err := repo.PutManifest(t.Context(), "v1", indexType, []byte(`{}`), "a", "b")
			return err
		}},
		"HEAD of a manifest": {on("HEAD", "/manifests/", say("Docker-Content-Digest", other)), func(repo *registry.Repository) error {
			_, _, err := repo.Head(t.Context(), digest.String())
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			fake := registrytest.Start(t, registrytest.Rules{MultiTag: true, Fault: c.fault})
			fake.PutBlob("acme/base", data)
			if strings.HasPrefix(name, "HEAD") {
				fake.PutBlob("acme/app", data)
				fake.PutManifest("acme/app", digest.String(), indexType, data)
			}
			err := c.do(repository(t, fake, registry.Options{}))
			if err == nil || asAnswer(t, err).Passing() || !strings.Contains(err.Error(), other) || strings.Count(err.Error(), "sha256:") < 2 {
				t.Errorf("got error %v, want one for good that names both digests", err)
			}
			if fake.Total() > 2 {
				t.Errorf("the requests were %v, want no second try", fake.Trace())
			}
		})
	}
}

func TestADigestThatCannotBeReadIsNoFailure(t *testing.T) {
	for _, value := range []string{"", "sha256:", "sha256:xyz", "md5:00", "sha512:" + strings.Repeat("0", 128), "nothing of the kind"} {
		fake := registrytest.Start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault {
			return &registrytest.Fault{Amend: func(status int, h http.Header) int {
				h.Set("Docker-Content-Digest", value)
				return status
			}}
		}})
		repo := repository(t, fake, registry.Options{})
		data, digest := noise(1, 1000)
		if _, err := push(t, repo, digest, &at{data: data}); err != nil {
			t.Errorf("%q: push a blob: %v", value, err)
		}
		if there, err := repo.HasBlob(t.Context(), digest); err != nil || !there {
			t.Errorf("%q: look up a blob: %t, %v", value, there, err)
		}
		index := putIndex(t, repo, "v1", "")
		if _, found, err := repo.Head(t.Context(), index.String()); err != nil || !found {
			t.Errorf("%q: look up a manifest: %t, %v", value, found, err)
		}
	}
}

func TestOddGoodAnswersToAnUploadAreGood(t *testing.T) {
	for name, amend := range map[string]func(r *http.Request, status int, h http.Header) int{
		"200 for all": func(*http.Request, int, http.Header) int { return 200 },
		"201 for all": func(*http.Request, int, http.Header) int { return 201 },
		"204 for all": func(*http.Request, int, http.Header) int { return 204 },
		"202 for all": func(*http.Request, int, http.Header) int { return 202 },
		"an empty answer that is called HTML": func(_ *http.Request, status int, h http.Header) int {
			h.Set("Content-Type", "text/html")
			return status
		},
	} {
		t.Run(name, func(t *testing.T) {
			fake := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
				if r.Method == http.MethodHead || r.Method == http.MethodGet {
					return nil
				}
				return &registrytest.Fault{Amend: func(status int, h http.Header) int { return amend(r, status, h) }}
			}})
			repo := repository(t, fake, registry.Options{Quirks: map[string]registry.Quirks{fake.Host: {Chunk: 1 << 20}}})
			data, digest := noise(1, 3<<20)
			if _, err := push(t, repo, digest, &at{data: data}); err != nil || !fake.HasBlob("acme/app", digest.String()) {
				t.Errorf("%v, after %v", err, fake.Trace())
			}
			putIndex(t, repo, "v1", "")
		})
	}
}
