package haul_test

import (
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

func TestACacheThatRestartsCostsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	layer := noise(1, 20<<20)
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, layer)
	var away atomic.Int32
	server.SetRules(castest.Rules{CutAfter: 6 << 20, Fail: func(string) error {
		if away.Add(1)%3 == 0 {
			return nil
		}
		return status.Error(codes.Unavailable, "restarting")
	}})
	if _, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	checkImage(t, fake.Host, "acme/app", "v1", spec.Root)
	if got := fake.Received()[spec.Blobs[0].Digest.String()]; got != int64(len(layer)) {
		t.Errorf("%d bytes were sent for a layer of %d", got, len(layer))
	}
}

func TestALateBlobIsWaitedFor(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	layer := noise(1, 3<<20)
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, layer)
	server.Evict(server.Put(layer))
	var asked atomic.Int32
	server.SetRules(castest.Rules{Fail: func(call string) error {
		if call == "Read" && asked.Add(1) == 3 {
			server.Put(layer)
		}
		return nil
	}})
	if _, err := newHauler(t, server, haul.Options{}).Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	checkImage(t, fake.Host, "acme/app", "v1", spec.Root)
}

func TestBaseLayersComeFromRegistries(t *testing.T) {
	for _, same := range []bool{true, false} {
		fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
		base := fake
		if !same {
			base = registrytest.Start(t, registrytest.Rules{})
		}
		layer := noise(1, 5<<20)
		base.PutBlob("library/ubuntu", layer)
		spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, layer, noise(2, 10))
		server.Evict(server.Put(layer))
		spec.Blobs[0].Sources = []pushspec.Source{{Repository: base.Host + "/library/ubuntu"}}
		result, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec))
		if err != nil {
			t.Fatal(err)
		}
		checkImage(t, fake.Host, "acme/app", "v1", spec.Root)
		if got := result.Mounted.Blobs == 1; got != same {
			t.Errorf("same registry %t: the result is %+v", same, result)
		}
	}
}
