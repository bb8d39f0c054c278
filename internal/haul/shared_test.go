package haul_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
		failed, ok := errors.AsType[*haul.Error](err)
		if i%2 == 0 && (!ok || failed.Class != haul.Evicted) {
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
