package haul_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

// keeping is a request whose tags must not be written over, but for latest.
func keeping(spec *pushspec.Spec) haul.Request {
	r := request(spec)
	for _, tag := range r.Tags {
		if tag != "latest" {
			r.KeepTags = append(r.KeepTags, tag)
		}
	}
	return r
}

func TestATagThatIsKeptIsNotWrittenOver(t *testing.T) {
	for _, multi := range []bool{true, false} {
		fake, server := registrytest.Start(t, registrytest.Rules{MultiTag: multi}), castest.Start(t)
		h := impatient(t, server.Dial(t, cas.Options{}), registry.Options{})
		first := image(t, server, fake.Host, "acme/app", []string{"v1", "latest"}, noise(1, 1000))
		if _, err := h.Haul(t.Context(), keeping(first)); err != nil {
			t.Fatal(err)
		}
		// The same image again is fine, in one request a tag.
		result, err := h.Haul(t.Context(), keeping(first))
		if err != nil {
			t.Fatal(err)
		}
		if !result.AlreadyThere || result.Requests != 2 {
			t.Errorf("the result is %+v, want nothing new in one request a tag", result)
		}

		sent := fake.Total()
		second := image(t, server, fake.Host, "acme/app", []string{"v2", "v1", "latest"}, noise(2, 1000))
		_, err = h.Haul(t.Context(), keeping(second))
		failed := wantClass(t, err, haul.Taken)
		if !failed.Class.Final() {
			t.Error("it is tried again")
		}
		want := "tag v1 points to " + first.Root.String() + "; the tag must not be overwritten, and this image is " + second.Root.String() +
			". Push this image under another tag, or remove the tag from the registry first"
		if failed.Text != want {
			t.Errorf("the text is\n%s\nwant\n%s", failed.Text, want)
		}
		if asked := fake.Total() - sent; asked > 3 {
			t.Errorf("%d requests were made for an image that cannot be pushed", asked)
		}
		if _, found := fake.Manifest("acme/app", "v2"); found {
			t.Error("another tag of the push was written")
		}
		for _, tag := range []string{"v1", "latest"} {
			checkImage(t, fake.Host, "acme/app", tag, first.Root)
		}

		second.Destination.Tags = []string{"v2", "latest"}
		if _, err := h.Haul(t.Context(), keeping(second)); err != nil {
			t.Fatal(err)
		}
		checkImage(t, fake.Host, "acme/app", "latest", second.Root)
		checkImage(t, fake.Host, "acme/app", "v2", second.Root)
	}
}

func TestATagThatComesWhileAnImageIsCopiedIsKept(t *testing.T) {
	server := castest.Start(t)
	var fake *registrytest.Registry
	other := image(t, server, "r.test", "acme/app", []string{"v1"}, noise(1, 1000))
	theirs := other.Manifests[0]
	write := func() { fake.PutManifest("acme/app", "v1", string(theirs.MediaType), theirs.Data) }
	isTag := func(r *http.Request) bool { return path.Base(r.URL.Path) == "v1" }
	for name, c := range map[string]struct {
		comes func(r *http.Request) bool
		text  string
	}{
		"while blobs are copied": {func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/uploads/") }, "since this push began"},
		"right after it was written": {func(r *http.Request) bool {
			_, written := fake.Manifest("acme/app", "v1")
			return written && isTag(r) && r.Method == http.MethodHead
		}, "which another has written at the same time"},
	} {
		t.Run(name, func(t *testing.T) {
			var once atomic.Bool
			fake = registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
				if c.comes(r) && once.CompareAndSwap(false, true) {
					write()
				}
				return nil
			}})
			spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(2, 1000))
			_, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), keeping(spec))
			failed := wantClass(t, err, haul.Taken)
			for _, want := range []string{c.text, theirs.Digest.String(), spec.Root.String()} {
				if !strings.Contains(failed.Text, want) {
					t.Errorf("the text is %q, without %q", failed.Text, want)
				}
			}
			if data, _ := fake.Manifest("acme/app", "v1"); descriptor("", data).Digest != theirs.Digest {
				t.Error("their tag was written over")
			}
		})
	}
}

// A list of tags that is a few seconds old is believed for tags that may move.
func TestATagThatIsKeptIsLookedUpAnew(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	h := impatient(t, server.Dial(t, cas.Options{}), registry.Options{})
	for i := range 12 {
		spec := image(t, server, fake.Host, "acme/app", []string{"t" + string(rune('a'+i))}, noise(uint64(i), 100))
		if _, err := h.Haul(t.Context(), request(spec)); err != nil {
			t.Fatal(err)
		}
	}
	first := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(20, 100))
	fake.PutManifest("acme/app", "v1", string(first.Manifests[0].MediaType), first.Manifests[0].Data)
	_, err := h.Haul(t.Context(), keeping(image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(21, 100))))
	wantClass(t, err, haul.Taken)
}

func TestATagWhoseDigestIsNotToldIsReadBeforeItIsKept(t *testing.T) {
	for _, same := range []bool{true, false} {
		server := castest.Start(t)
		fake := registrytest.Start(t, registrytest.Rules{})
		first := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 1000))
		client := server.Dial(t, cas.Options{})
		if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), keeping(first)); err != nil {
			t.Fatal(err)
		}
		front := withoutDigests(t, fake.Host)
		spec := image(t, server, front, "acme/app", []string{"v1"}, noise(1, 1000))
		if !same {
			spec = image(t, server, front, "acme/app", []string{"v1"}, noise(2, 1000))
		}
		_, err := impatient(t, client, registry.Options{}).Haul(t.Context(), keeping(spec))
		if same && err != nil {
			t.Errorf("the same image: %v", err)
		}
		if !same {
			if failed := wantClass(t, err, haul.Taken); !strings.Contains(failed.Text, first.Root.String()) {
				t.Errorf("the text is %q", failed.Text)
			}
		}
	}
}

// Of two that push at the same time under one claim at a time one has the tag.
func TestOneOfManyHasATagThatIsKept(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	client := server.Dial(t, cas.Options{})
	var claim sync.Mutex
	var won atomic.Int32
	var winner atomic.Pointer[pushspec.Spec]
	var hauls sync.WaitGroup
	for i := range 16 {
		spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(uint64(i), 1000))
		h := impatient(t, client, registry.Options{})
		hauls.Go(func() {
			r, claimed := keeping(spec), false
			r.Claims = claims{tags: func(tags []string) (haul.Claim, error) {
				claim.Lock()
				claimed = true
				return haul.Claim{Tags: tags}, nil
			}}
			_, err := h.Haul(t.Context(), r)
			if claimed {
				claim.Unlock()
			}
			failed, ok := errors.AsType[*haul.Error](err)
			switch {
			case err == nil:
				won.Add(1)
				winner.Store(spec)
			case !ok || failed.Class != haul.Taken:
				t.Errorf("got error %v, want class %s", err, haul.Taken)
			}
		})
	}
	hauls.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d of 16 have the tag", won.Load())
	}
	checkImage(t, fake.Host, "acme/app", "v1", winner.Load().Root)
}

// withoutDigests is a front before a registry that does not tell the digests of
// manifests.
func withoutDigests(t *testing.T, host string) string {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	proxy.ModifyResponse = func(r *http.Response) error {
		r.Header.Del("Docker-Content-Digest")
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}
