package registry_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/clock/clocktest"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

// pushFrom pushes a blob, and asks for a mount first. It tells whether that was given.
func pushFrom(t *testing.T, repo *registry.Repository, from string, digest v1.Hash, data []byte) (mounted bool, err error) {
	t.Helper()
	upload, err := repo.Start(t.Context(), digest, int64(len(data)), from)
	if err != nil || upload == nil {
		return upload == nil, err
	}
	_, err = upload.Put(t.Context(), &at{data: data})
	return false, err
}

func TestAMountThatIsRefusedIsDoneWithout(t *testing.T) {
	for _, status := range []int{400, 401, 402, 403, 404, 405, 406, 409, 410, 413, 415, 422, 451, 501, 505} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			c := clocktest.New()
			fake := registrytest.Start(t, registrytest.Rules{Fault: on(http.MethodPost, "mount=", registrytest.Fault{Status: status})})
			repo := repository(t, fake, registry.Options{Now: c.Now, Wait: c.Wait})
			for n := range byte(3) {
				data, digest := noise(n, 3000)
				fake.PutBlob("acme/base", data)
				if _, err := pushFrom(t, repo, "acme/base", digest, data); err != nil || !fake.HasBlob("acme/app", digest.String()) {
					t.Fatalf("blob %d: %v", n, err)
				}
			}
			if got := requests(fake, "POST mount"); got != 1 || fake.Total() != 7 {
				t.Errorf("%d mounts were asked for in %v, want one: the source is remembered", got, fake.Trace())
			}
			// Not for ever: somebody may have given the permission since.
			c.Pass(time.Hour)
			fake.SetRules(registrytest.Rules{})
			data, digest := noise(9, 3000)
			fake.PutBlob("acme/base", data)
			if mounted, err := pushFrom(t, repo, "acme/base", digest, data); err != nil || !mounted {
				t.Errorf("an hour later: mounted %t, %v", mounted, err)
			}
		})
	}
}

func TestAMountThatFailsInPassingIsAskedForAgain(t *testing.T) {
	for name, fault := range map[string]registrytest.Fault{
		"500": {Status: 500}, "502": {Status: 502}, "504": {Status: 504}, "cut": {}, "a page": {Status: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html>"},
	} {
		t.Run(name, func(t *testing.T) {
			data, digest := noise(1, 3000)
			fake := registrytest.Start(t, registrytest.Rules{Fault: first(1, on(http.MethodPost, "mount=", fault))})
			fake.PutBlob("acme/base", data)
			repo := repository(t, fake, registry.Options{})
			if mounted, err := pushFrom(t, repo, "acme/base", digest, data); err != nil || !mounted {
				t.Errorf("once: mounted %t, %v", mounted, err)
			}
			// Every time: without. The next blob may have better luck.
			fake = registrytest.Start(t, registrytest.Rules{Fault: on(http.MethodPost, "mount=", fault)})
			repo = repository(t, fake, registry.Options{})
			for n := range 2 {
				data, digest := noise(byte(n), 3000)
				if _, err := pushFrom(t, repo, "acme/base", digest, data); err != nil || !fake.HasBlob("acme/app", digest.String()) {
					t.Errorf("every time: %v", err)
				}
				if got := requests(fake, "POST mount"); got != 2*(n+1) {
					t.Errorf("%d mounts were asked for", got)
				}
			}
		})
	}
}

func TestARegistryThatRefusesEverySourceIsNotAskedForMounts(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{Fault: on(http.MethodPost, "mount=", registrytest.Fault{Status: 403})})
	repo := repository(t, fake, registry.Options{})
	for n := range byte(10) {
		data, digest := noise(n, 3000)
		if _, err := pushFrom(t, repo, fmt.Sprintf("acme/base-%d", n), digest, data); err != nil {
			t.Fatal(err)
		}
	}
	if got := requests(fake, "POST mount"); got != 3 || repo.Mounts() {
		t.Errorf("%d mounts were asked for, want 3 of 10; mounts are said to work: %t", got, repo.Mounts())
	}
}

func TestOneRefusedSourceSaysNothingAboutAnother(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{Fault: on(http.MethodPost, "from=acme%2Fsecret", registrytest.Fault{Status: 401})})
	repo := repository(t, fake, registry.Options{})
	for n := range byte(10) {
		data, digest := noise(n, 3000)
		fake.PutBlob("acme/base", data)
		if mounted, err := pushFrom(t, repo, "acme/secret", digest, data); err != nil || mounted {
			t.Fatalf("mounted %t, %v", mounted, err)
		}
		data, digest = noise(100+n, 3000)
		fake.PutBlob("acme/base", data)
		if mounted, err := pushFrom(t, repo, "acme/base", digest, data); err != nil || !mounted {
			t.Fatalf("mounted %t, %v", mounted, err)
		}
	}
}

func TestALookupByMountThatIsRefusedIsALookup(t *testing.T) {
	data, digest := noise(1, 2<<20)
	fake := registrytest.Start(t, registrytest.Rules{Fault: on(http.MethodPost, "mount=", registrytest.Fault{Status: 400})})
	fake.PutBlob("acme/app", data)
	repo := repository(t, fake, registry.Options{})
	if there, err := pushFrom(t, repo, "acme/app", digest, data); err != nil || !there {
		t.Errorf("there %t, %v", there, err)
	}
	small, smallDigest := noise(2, 100)
	if _, err := pushFrom(t, repo, "acme/app", smallDigest, small); err != nil || !fake.HasBlob("acme/app", smallDigest.String()) {
		t.Error(err)
	}
	if repo.MountsItself(true) {
		t.Error("blobs are still looked up by mounts")
	}
}

func TestATokenThatMayNotReadTheSourceIsNoObstacle(t *testing.T) {
	for name, refuses := range map[string]bool{"the source is left out of the token": false, "the token is refused": true} {
		t.Run(name, func(t *testing.T) {
			fake := registrytest.Start(t, registrytest.Rules{User: "ann", Password: "secret", TokenLife: time.Hour, RefusesScopes: refuses,
				Grants: func(scope string) bool { return strings.HasPrefix(scope, "repository:acme/app:") }})
			repo := repository(t, fake, registry.Options{Keychain: keychain{Username: "ann", Password: "secret"}})
			for n := range byte(5) {
				data, digest := noise(n, 3000)
				fake.PutBlob("acme/base", data)
				if _, err := pushFrom(t, repo, "acme/base", digest, data); err != nil || !fake.HasBlob("acme/app", digest.String()) {
					t.Fatalf("blob %d: %v", n, err)
				}
			}
			if got := requests(fake, "POST mount"); got > 2 || fake.Total() > 2+5*2 {
				t.Errorf("the requests were %v", fake.Trace())
			}
			if fake.Tokens() > 2 {
				t.Errorf("%d tokens were issued, want at most one with the source and one without", fake.Tokens())
			}
		})
	}
}

func TestCredentialsThatMayNothingAreDenied(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{Fault: on(http.MethodPost, "", registrytest.Fault{Status: 403})})
	repo := repository(t, fake, registry.Options{})
	data, digest := noise(1, 3000)
	_, err := pushFrom(t, repo, "acme/base", digest, data)
	if !asAnswer(t, err).Denied() || fake.Total() != 2 {
		t.Errorf("got error %v after %v", err, fake.Trace())
	}
	// That was nothing about mounts.
	fake.SetRules(registrytest.Rules{})
	fake.PutBlob("acme/base", data)
	if mounted, err := pushFrom(t, repo, "acme/base", digest, data); err != nil || !mounted {
		t.Errorf("mounted %t, %v", mounted, err)
	}
}

func TestAMountThatAsksForPatienceGetsIt(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{Fault: on(http.MethodPost, "mount=", registrytest.Fault{Status: 429, Header: http.Header{"Retry-After": {"900"}}})})
	data, digest := noise(1, 3000)
	_, err := pushFrom(t, repository(t, fake, registry.Options{}), "acme/base", digest, data)
	if !asAnswer(t, err).Throttled() || fake.Total() != 1 {
		t.Errorf("got error %v after %v", err, fake.Trace())
	}
}

func TestOddAnswersToAMountAreUploads(t *testing.T) {
	for name, amend := range map[string]func(int, http.Header) int{
		"201 and a session":        func(int, http.Header) int { return 201 },
		"202 and no session":       func(_ int, h http.Header) int { h.Del("Location"); return 202 },
		"202 and one elsewhere":    func(_ int, h http.Header) int { h.Set("Location", "http://elsewhere.test/"); return 202 },
		"202 and a broken address": func(_ int, h http.Header) int { h.Set("Location", "%zz"); return 202 },
		"200":                      func(int, http.Header) int { return 200 },
		"204":                      func(_ int, h http.Header) int { h.Del("Location"); return 204 },
	} {
		t.Run(name, func(t *testing.T) {
			fake := registrytest.Start(t, registrytest.Rules{NoMount: true, Fault: on(http.MethodPost, "mount=", registrytest.Fault{Amend: amend})})
			data, digest := noise(1, 3000)
			if mounted, err := pushFrom(t, repository(t, fake, registry.Options{}), "acme/base", digest, data); err != nil || mounted || !fake.HasBlob("acme/app", digest.String()) {
				t.Errorf("mounted %t, %v, after %v", mounted, err, fake.Trace())
			}
		})
	}
}
