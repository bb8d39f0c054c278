package haul_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

// clock is a clock that moves when somebody waits for it.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Unix(1_000_000, 0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	return ctx.Err()
}

// impatient is a hauler whose clock moves when it waits.
func impatient(t testing.TB, client *cas.Client, registries registry.Options) *haul.Hauler {
	t.Helper()
	if registries.Keychain == nil {
		registries.Keychain = authn.NewMultiKeychain()
	}
	if registries.Wait == nil {
		c := newClock()
		registries.Now, registries.Wait = c.now, c.wait
	}
	r := registry.New(registries)
	t.Cleanup(r.Close)
	h, err := haul.New(haul.Options{CAS: client, Registries: r, Grace: -1, Now: registries.Now, Wait: registries.Wait})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// haulAll hauls all specs at once.
func haulAll(ctx context.Context, h *haul.Hauler, specs []*pushspec.Spec) ([]haul.Result, []error) {
	results, errs := make([]haul.Result, len(specs)), make([]error, len(specs))
	var hauls sync.WaitGroup
	for i, spec := range specs {
		hauls.Go(func() { results[i], errs[i] = h.Haul(ctx, request(spec)) })
	}
	hauls.Wait()
	return results, errs
}

func TestASharedLayerIsUploadedOnceToARegistry(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	for _, c := range []struct {
		name       string
		repository func(int) string
		perImage   int
	}{
		{"to one repository", func(int) string { return "acme/all" }, 6},
		{"to one each", func(i int) string { return fmt.Sprintf("acme/app-%d", i) }, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
			client := server.Dial(t, cas.Options{})
			base := noise(1, 6<<20)
			var specs []*pushspec.Spec
			for i := range 50 {
				specs = append(specs, image(t, server, fake.Host, c.repository(i), []string{fmt.Sprintf("v%d", i)}, base, noise(uint64(100+i), 2000)))
			}
			results, errs := haulAll(t.Context(), impatient(t, client, registry.Options{}), specs)
			for i, err := range errs {
				if err != nil {
					t.Fatal(err)
				}
				checkImage(t, fake.Host, c.repository(i), fmt.Sprintf("v%d", i), specs[i].Root)
			}
			if got := fake.Received()[specs[0].Blobs[0].Digest.String()]; got != int64(len(base)) {
				t.Errorf("%d bytes of the shared layer were sent, want %d", got, len(base))
			}
			requests := 0
			for _, result := range results {
				requests += result.Requests
			}
			// Looking up and uploading the shared layer takes three more.
			if want := 50*c.perImage + 3; requests > want {
				t.Errorf("%d requests were made, want at most %d", requests, want)
			}
		})
	}
}

// The hauls of one layer, two at a time: whoever comes second waits, mounts, or
// finds it there.
func TestTwoImagesAtOnceAThousandTimes(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	client := server.Dial(t, cas.Options{})
	h := impatient(t, client, registry.Options{})
	for round := range 1000 {
		layer := []byte(fmt.Sprintf("layer of round %d", round))
		repository := fmt.Sprintf("acme/app-%d", round%7)
		specs := []*pushspec.Spec{
			image(t, server, fake.Host, repository, []string{fmt.Sprintf("a%d", round)}, layer, []byte("a")),
			image(t, server, fake.Host, repository, []string{fmt.Sprintf("b%d", round)}, layer, []byte("b")),
		}
		_, errs := haulAll(t.Context(), h, specs)
		if err := errors.Join(errs...); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if got := fake.Received()[specs[0].Blobs[0].Digest.String()]; got != int64(len(layer)) {
			t.Fatalf("round %d: %d bytes of the shared layer were sent, want %d", round, got, len(layer))
		}
	}
}

func TestANeighboursEndDoesNotEndOthers(t *testing.T) {
	server := castest.Start(t)
	began, end := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	layer := noise(1, 6<<20)
	fake := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/") && r.ContentLength == int64(len(layer)) && first.CompareAndSwap(false, true) {
			close(began)
			<-end
			return &registrytest.Fault{}
		}
		return nil
	}})
	client := server.Dial(t, cas.Options{})
	h := impatient(t, client, registry.Options{})
	leaver := image(t, server, fake.Host, "acme/leaver", []string{"v1"}, layer)
	stayer := image(t, server, fake.Host, "acme/stayer", []string{"v1"}, layer, []byte("more"))
	ctx, leave := context.WithCancel(t.Context())
	var hauls sync.WaitGroup
	hauls.Go(func() {
		if _, err := h.Haul(ctx, request(leaver)); !errors.Is(err, context.Canceled) {
			t.Errorf("the haul that was ended returned %v", err)
		}
	})
	<-began
	hauls.Go(func() {
		if _, err := h.Haul(t.Context(), request(stayer)); err != nil {
			t.Errorf("the other haul: %v", err)
		}
	})
	leave()
	close(end)
	hauls.Wait()
	checkImage(t, fake.Host, "acme/stayer", "v1", stayer.Root)
}

func TestAFailedImageFailsNoOther(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	client := server.Dial(t, cas.Options{})
	gone := noise(1, 5000)
	var specs []*pushspec.Spec
	for i := range 20 {
		layers := [][]byte{noise(2, 5000), noise(uint64(10+i), 100)}
		if i%2 == 0 {
			layers = append(layers, gone)
		}
		specs = append(specs, image(t, server, fake.Host, "acme/all", []string{fmt.Sprintf("v%d", i)}, layers...))
	}
	server.Evict(server.Put(gone))
	_, errs := haulAll(t.Context(), impatient(t, client, registry.Options{}), specs)
	for i, err := range errs {
		var failed *haul.Error
		if i%2 == 0 && (!errors.As(err, &failed) || failed.Class != haul.Evicted) {
			t.Errorf("image %d: got error %v, want class %s", i, err, haul.Evicted)
		}
		if i%2 == 1 && err != nil {
			t.Errorf("image %d: %v", i, err)
		}
	}
}

func TestWithoutMountsEachRepositoryGetsItsOwn(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{NoMount: true}), castest.Start(t)
	client := server.Dial(t, cas.Options{})
	var specs []*pushspec.Spec
	for i := range 4 {
		specs = append(specs, image(t, server, fake.Host, fmt.Sprintf("acme/app-%d", i), []string{"v1"}, noise(1, 5<<20)))
	}
	_, errs := haulAll(t.Context(), impatient(t, client, registry.Options{}), specs)
	for i, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
		checkImage(t, fake.Host, fmt.Sprintf("acme/app-%d", i), "v1", specs[i].Root)
	}
}

func TestWhatARegistryLostIsCopiedAnew(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	client := server.Dial(t, cas.Options{})
	h := impatient(t, client, registry.Options{})
	layer := noise(1, 3000)
	first := image(t, server, fake.Host, "acme/app", []string{"v1"}, layer)
	if _, err := h.Haul(t.Context(), request(first)); err != nil {
		t.Fatal(err)
	}
	fake.Forget("acme/app", first.Blobs[0].Digest.String())
	second := image(t, server, fake.Host, "acme/app", []string{"v2"}, layer, noise(2, 10))
	if _, err := h.Haul(t.Context(), request(second)); err != nil {
		t.Fatal(err)
	}
	checkImage(t, fake.Host, "acme/app", "v2", second.Root)
}

func TestANewTagOfAKnownImageMovesNoBytes(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{MultiTag: true}), castest.Start(t)
	client := server.Dial(t, cas.Options{})
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 3000))
	known := impatient(t, client, registry.Options{})
	if _, err := known.Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		hauler *haul.Hauler
		tags   []string
		want   int
	}{
		{"known", known, []string{"v2"}, 2},
		{"known, many tags", known, []string{"v3", "v4", "v5"}, 4},
		{"found out", impatient(t, client, registry.Options{}), []string{"v6"}, 4},
		{"by digest", impatient(t, client, registry.Options{}), nil, 1},
	} {
		r := request(spec)
		r.Tags = c.tags
		result, err := c.hauler.Haul(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if result.Requests > c.want || result.Uploaded.Blobs > 0 {
			t.Errorf("%s: the result is %+v, want at most %d requests and no upload", c.name, result, c.want)
		}
		for _, tag := range c.tags {
			if data, _ := fake.Manifest("acme/app", tag); descriptor("", data).Digest != spec.Root {
				t.Errorf("%s: tag %s does not point to the image", c.name, tag)
			}
		}
	}
}

func TestAnImmutableTagThatIsRightIsNoError(t *testing.T) {
	server := castest.Start(t)
	fake := registrytest.Start(t, registrytest.Rules{ImmutableTags: true})
	client := server.Dial(t, cas.Options{})
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 3000))
	if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	// The lookup misses the tag, as one that is answered from a stale cache does.
	var missed atomic.Bool
	fake.SetRules(registrytest.Rules{ImmutableTags: true, Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodHead && path.Base(r.URL.Path) == "v1" && missed.CompareAndSwap(false, true) {
			return &registrytest.Fault{Status: http.StatusNotFound}
		}
		return nil
	}})
	if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
		t.Errorf("the same image again: %v", err)
	}
	other := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(2, 3000))
	_, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(other))
	var failed *haul.Error
	if !errors.As(err, &failed) || failed.Class != haul.Rejected {
		t.Errorf("another image: got error %v, want class %s", err, haul.Rejected)
	}
}
