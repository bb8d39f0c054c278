package haul_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/clock/clocktest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

// matrixPush pushes the image while so many requests of the kind, or all where that is
// zero, are answered so; nil answers as it is right.
func matrixPush(t *testing.T, request matrixRequest, answer *matrixAnswer, times int) (outcome string, trace []registrytest.Exchange) {
	t.Helper()
	server := castest.Start(t)
	layer := noise(1, matrixLayer)
	var mu sync.Mutex
	broken := !request.broken
	fault := func(r *http.Request) *registrytest.Fault {
		mu.Lock()
		defer mu.Unlock()
		ofLayer := r.ContentLength > 1000 || r.ContentLength <= 0
		if !broken && r.Method == http.MethodPut && ofLayer {
			broken = true
			return &registrytest.Fault{After: 1 << 20, Drain: true}
		}
		if answer == nil || registrytest.NameOf(r) != request.name || !ofLayer && strings.Contains(r.URL.Path, "/uploads/") || times < 0 {
			return nil
		}
		f := answer.fault(r)
		if f != nil && f.Status == 0 && f.Amend == nil && !f.Late {
			f.Drain = true
		}
		if times > 0 {
			if times--; times == 0 {
				times = -1
			}
		}
		return f
	}
	rules := request.rules
	rules.Fault = fault
	fake := registrytest.Start(t, rules)
	host := fake.Host
	if request.base == "elsewhere" {
		host = registrytest.Start(t, registrytest.Rules{}).Host
	}
	spec := image(t, server, host, "acme/app", request.tags, layer)
	switch request.base {
	case "here":
		fake.PutBlob("acme/base", layer)
		spec.Blobs[0].Sources = append(spec.Blobs[0].Sources, pushspec.Source{Repository: host + "/acme/base"})
	case "elsewhere":
		fake.PutBlob("acme/base", layer)
		spec.Blobs[0].Sources = []pushspec.Source{{Repository: fake.Host + "/acme/base"}}
	default:
		// The config is there: the matrix is about the layer.
		fake.PutBlob("acme/app", spec.Blobs[1].Data)
	}
	c := clocktest.New()
	registries := registry.New(registry.Options{Keychain: authn.NewMultiKeychain(), Now: c.Now, Wait: c.Wait,
		Hosts: map[string]registry.HostOptions{host: {Settings: request.settings}},
		// A connection that is cut must not be net/http's to try again.
		Transport: &http.Transport{DisableKeepAlives: true}})
	defer registries.Close()
	h, err := haul.New(haul.Options{CAS: server.Dial(t, cas.Options{}), Registries: registries, Grace: -1, BlobsAtOnce: 1, Now: c.Now, Wait: c.Wait})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Haul(context.WithoutCancel(t.Context()), haul.Request{Spec: spec, Repository: "acme/app", Tags: request.tags, Invocation: "matrix"})
	trace = fake.Trace()
	if failed, ok := errors.AsType[*haul.Error](err); ok {
		return "`" + string(failed.Class) + "`", trace
	}
	if err != nil {
		t.Fatal(err)
	}
	// What is called pushed has to be there.
	references := request.tags
	if len(references) == 0 {
		references = []string{spec.Root.String()}
	}
	mu.Lock()
	times = -1
	mu.Unlock()
	for _, reference := range references {
		checkImage(t, host, "acme/app", reference, spec.Root)
	}
	return "pushed", trace
}
