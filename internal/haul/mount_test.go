package haul_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

// mountsOnly lets a push have blobs mounted from these repositories.
func mountsOnly(repositories ...string) func(string) bool {
	return func(repository string) bool { return slices.Contains(repositories, repository) }
}

// mountWatch counts the requests for mounts from other repositories, by those repositories.
type mountWatch struct {
	mu    sync.Mutex
	asked map[string]int
}

func (w *mountWatch) fault(r *http.Request) *registrytest.Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked == nil {
		w.asked = map[string]int{}
	}
	if from := r.URL.Query().Get("from"); !strings.HasPrefix(r.URL.Path, "/v2/"+from+"/") {
		w.asked[from]++
	}
	return nil
}

func (w *mountWatch) from(repository string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[repository]
}

// Whoever knows the digest of a layer in a repository that is none of theirs does not get
// it from there: not by what this process remembers, and not by what others do.
func TestALayerByItsDigestAloneIsMountedOnlyFromWhereThePushMayHaveIt(t *testing.T) {
	for name, c := range map[string]struct {
		client  string // "thief" if empty; "owner" has pushed the layer
		source  string // of the cache, or "" for the layer's own digest
		evicted bool
		may     bool
		// mounted is by what is remembered, and claimed by what other processes tell.
		mounted, claimed bool
		want             haul.Class
	}{
		"the cache has it":                             {},
		"the cache has it, and it may":                 {may: true, mounted: true, claimed: true},
		"the cache has lost it":                        {evicted: true, want: haul.Evicted},
		"the cache has lost it, and it may":            {evicted: true, may: true, mounted: true, claimed: true},
		"the cache has something else for it":          {source: "another", want: haul.Malformed},
		"something else for it, and it may":            {source: "another", may: true, mounted: true, claimed: true},
		"the cache has lost what it is said for":       {source: "lost", evicted: true, want: haul.Evicted},
		"the client has shown it":                      {client: "owner", mounted: true},
		"nobody has said who it is, as others did not": {client: "nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, remembered := range []bool{true, false} {
				var watch mountWatch
				fake, server := registrytest.Start(t, registrytest.Rules{Fault: watch.fault}), castest.Start(t)
				layer := noise(1, 3000)
				h := impatient(t, server.Dial(t, cas.Options{}), registry.Options{})
				owned := request(image(t, server, fake.Host, "secret/app", []string{"v1"}, layer))
				owned.Client = "owner"
				r := request(image(t, server, fake.Host, "acme/app", []string{"v1"}, layer, noise(2, 10)))
				r.Client = "thief"
				switch c.client {
				case "owner":
					r.Client = "owner"
				case "nobody":
					owned.Client, r.Client = "", ""
				}
				if _, err := h.Haul(t.Context(), owned); err != nil {
					t.Fatal(err)
				}
				if !remembered {
					h = impatient(t, server.Dial(t, cas.Options{}), registry.Options{})
				}
				secret := &r.Spec.Blobs[0]
				if c.source != "" {
					other := noise(7, 3000)
					server.Put(other)
					secret.Sources = []pushspec.Source{{CAS: descriptor("", other).Digest.String()}}
					if c.source == "lost" {
						server.Evict(server.Put(other))
					}
				}
				if c.evicted {
					server.Evict(server.Put(layer))
				}
				if !remembered {
					r.Claims = claims{blobs: func([]pushspec.Blob) (haul.Claim, error) {
						return haul.Claim{Elsewhere: map[string]string{secret.Digest.String(): "secret/app"}}, nil
					}}
				}
				r.MayMount = func(string) bool { return c.may }
				result, err := h.Haul(t.Context(), r)
				mounted := remembered && c.mounted || !remembered && c.claimed
				if asked := watch.from("secret/app") > 0; asked && !mounted {
					t.Errorf("remembered here: %t; a mount was asked for", remembered)
				}
				if c.want != "" {
					failed := wantClass(t, err, c.want)
					if !strings.Contains(failed.Text, secret.Digest.String()) {
						t.Errorf("the error does not name the layer: %s", failed.Text)
					}
					if fake.HasBlob("acme/app", secret.Digest.String()) {
						t.Error("the layer is there")
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := result.Mounted.Blobs > 0; got != mounted {
					t.Errorf("remembered here: %t; the result is %+v", remembered, result)
				}
			}
		})
	}
}

// While somebody uploads a layer, whoever may not have it from there neither waits for it
// nor gets it.
func TestALayerThatIsBeingUploadedIsNoUseToAPushThatMayNotHaveIt(t *testing.T) {
	for _, evicted := range []bool{false, true} {
		var watch mountWatch
		began, end := make(chan struct{}), make(chan struct{})
		layer := noise(1, 6<<20)
		fake, server := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
			watch.fault(r)
			if r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/v2/secret/") && r.ContentLength == int64(len(layer)) {
				close(began)
				<-end
			}
			return nil
		}}), castest.Start(t)
		owned, stolen := request(image(t, server, fake.Host, "secret/app", []string{"v1"}, layer)), request(image(t, server, fake.Host, "acme/app", []string{"v1"}, layer, noise(2, 10)))
		owned.Client, stolen.Client = "owner", "thief"
		owned.MayMount, stolen.MayMount = mountsOnly("secret/app"), mountsOnly("acme/app")
		h := impatient(t, server.Dial(t, cas.Options{}), registry.Options{})
		var hauls sync.WaitGroup
		hauls.Go(func() {
			if _, err := h.Haul(t.Context(), owned); err != nil {
				t.Errorf("the owner's: %v", err)
			}
		})
		<-began
		if evicted {
			server.Evict(server.Put(layer))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		result, err := h.Haul(ctx, stolen)
		cancel()
		close(end)
		hauls.Wait()
		if watch.from("secret/app") > 0 {
			t.Error("a mount was asked for")
		}
		if evicted {
			wantClass(t, err, haul.Evicted)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if result.Mounted.Blobs > 0 || result.Uploaded.Bytes < int64(len(layer)) {
			t.Errorf("the result is %+v", result)
		}
	}
}

// A client's own layers spare requests as they do without a policy, whatever repositories
// it may mount from.
func TestAClientsOwnLayersAreMountedAsWithoutAPolicy(t *testing.T) {
	pushAll := func(policy func(*haul.Request)) (requests int, mounted haul.Count) {
		fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
		h := impatient(t, server.Dial(t, cas.Options{}), registry.Options{})
		for i, repository := range []string{"acme/a", "acme/b", "acme/c"} {
			r := request(image(t, server, fake.Host, repository, []string{"v1"}, noise(1, 5<<20), noise(2, 3000), noise(uint64(10+i), 10)))
			policy(&r)
			result, err := h.Haul(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			requests += result.Requests
			mounted.Blobs += result.Mounted.Blobs
		}
		return requests, mounted
	}
	requests, mounted := pushAll(func(*haul.Request) {})
	with, mountedWith := pushAll(func(r *haul.Request) { r.Client, r.MayMount = "ci", mountsOnly() })
	if with != requests || mountedWith != mounted || mounted.Blobs != 4 {
		t.Errorf("%d requests and %d mounts, want as without a policy: %d requests and %d mounts", with, mountedWith.Blobs, requests, mounted.Blobs)
	}
}

// Other clients' repositories do not keep a push from one that it may have a layer from.
func TestOfSeveralRepositoriesThatHaveALayerOneIsFoundThatItMayBeMountedFrom(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	h := impatient(t, server.Dial(t, cas.Options{}), registry.Options{})
	layer := noise(1, 3000)
	push := func(client, repository string) haul.Result {
		r := request(image(t, server, fake.Host, repository, []string{"v1"}, layer))
		r.Client, r.MayMount = client, mountsOnly("team/base")
		result, err := h.Haul(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	push("team", "team/base")
	push("other", "other/app")
	if result := push("colleague", "team/app"); result.Mounted.Bytes < int64(len(layer)) {
		t.Errorf("the result is %+v", result)
	}
}
