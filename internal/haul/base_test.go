package haul_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
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

// onBase is the spec of an image with a layer of 3 MB that is in another registry.
func onBase(t *testing.T, server *castest.Server, host, base string) (spec *pushspec.Spec, layer []byte) {
	t.Helper()
	layer = noise(1, 3_000_000)
	spec = image(t, server, host, "acme/app", []string{"v1"}, layer, noise(2, 10))
	server.Evict(server.Put(layer))
	spec.Blobs[0].Sources = []pushspec.Source{{Repository: base + "/library/ubuntu"}}
	return spec, layer
}

func TestTheBasesRegistryIsToldFromTheDestination(t *testing.T) {
	const where = "/library/ubuntu"
	for name, c := range map[string]struct {
		fault  *registrytest.Fault
		serves func(layer []byte) []byte
		want   haul.Class
		text   string
	}{
		"forbidden":    {fault: &registrytest.Fault{Status: http.StatusForbidden}, want: haul.Denied, text: "check that these credentials may read BASE" + where},
		"who are you?": {fault: &registrytest.Fault{Status: http.StatusUnauthorized}, want: haul.Denied, text: "check that these credentials may read BASE" + where},
		"not there":    {want: haul.Evicted, text: "the base is no longer in BASE" + where},
		"come back later": {fault: &registrytest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"900"}}},
			want: haul.Throttled, text: "try again in"},
		"in trouble": {fault: &registrytest.Fault{Status: http.StatusBadGateway}, want: haul.Unavailable, text: "502"},
		"no answer":  {fault: &registrytest.Fault{}, want: haul.Unavailable},
		"teapot":     {fault: &registrytest.Fault{Status: http.StatusTeapot}, want: haul.Rejected, text: "418"},
		"another blob": {serves: func(layer []byte) []byte { return append([]byte{^layer[0]}, layer[1:]...) },
			want: haul.Malformed, text: "look at what BASE" + where + " serves"},
		"a shorter one": {serves: func(layer []byte) []byte { return layer[:1000] }, want: haul.Malformed, text: "look at what BASE" + where + " serves"},
	} {
		t.Run(name, func(t *testing.T) {
			fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
			base := registrytest.Start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault { return c.fault }})
			spec, layer := onBase(t, server, fake.Host, base.Host)
			if c.serves != nil {
				base.PutBlobAs("library/ubuntu", spec.Blobs[0].Digest.String(), c.serves(layer))
			}
			_, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec))
			failed := wantClass(t, err, c.want)
			prefix := "read base layer " + spec.Blobs[0].Digest.String() + " (2.9 MiB) from " + base.Host + where + ": "
			if !strings.HasPrefix(failed.Text, prefix) || !strings.Contains(failed.Text, strings.ReplaceAll(c.text, "BASE", base.Host)) {
				t.Errorf("the text is\n%s\nwant it to begin with\n%s", failed.Text, prefix)
			}
			for _, other := range []string{fake.Host, "may push", "remote cache"} {
				if strings.Contains(failed.Text, other) {
					t.Errorf("the text names %q: %s", other, failed.Text)
				}
			}
			if !failed.Source {
				t.Error("the destination is blamed")
			}
			if c.want == haul.Throttled && failed.RetryAfter < 800*time.Second {
				t.Errorf("the error says to come back in %s, want 900s", failed.RetryAfter)
			}
			if asked := base.Requests()["GET blobs"]; c.want.Final() && asked > 2 {
				t.Errorf("the base was asked %d times for what it refuses for good", asked)
			}
			if _, found := fake.Manifest("acme/app", "v1"); found {
				t.Error("the tag is there")
			}
		})
	}
}

func TestTheDestinationIsToldFromTheBase(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodPut && r.ContentLength == 3_000_000 {
			return &registrytest.Fault{Status: http.StatusForbidden}
		}
		return nil
	}}), castest.Start(t)
	base := registrytest.Start(t, registrytest.Rules{})
	spec, layer := onBase(t, server, fake.Host, base.Host)
	base.PutBlob("library/ubuntu", layer)
	_, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec))
	failed := wantClass(t, err, haul.Denied)
	if failed.Source || strings.Contains(failed.Text, base.Host) || !strings.Contains(failed.Text, fake.Host) || !strings.Contains(failed.Text, "may push") {
		t.Errorf("the text is %q", failed.Text)
	}
}

// Of several sources what may pass counts first, then what somebody can mend.
func TestAllSourcesOfALayerAreTold(t *testing.T) {
	for name, c := range map[string]struct {
		fault *registrytest.Fault
		want  haul.Class
	}{
		"neither has it":          {nil, haul.Evicted},
		"the base is forbidden":   {&registrytest.Fault{Status: http.StatusForbidden}, haul.Denied},
		"the base is in trouble":  {&registrytest.Fault{Status: http.StatusBadGateway}, haul.Unavailable},
		"the base asks to wait":   {&registrytest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"900"}}}, haul.Throttled},
		"the base does not exist": {&registrytest.Fault{Status: http.StatusNotFound, Code: "NAME_UNKNOWN"}, haul.Evicted},
	} {
		for _, first := range []string{"cache", "base"} {
			t.Run(name+", "+first+" first", func(t *testing.T) {
				fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
				base := registrytest.Start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault { return c.fault }})
				spec, _ := onBase(t, server, fake.Host, base.Host)
				cached := pushspec.Source{CAS: spec.Blobs[0].Digest.String()}
				spec.Blobs[0].Sources = []pushspec.Source{cached, spec.Blobs[0].Sources[0]}
				if first == "base" {
					spec.Blobs[0].Sources = []pushspec.Source{spec.Blobs[0].Sources[1], cached}
				}
				_, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec))
				failed := wantClass(t, err, c.want)
				if !strings.Contains(failed.Text, "remote cache") || !strings.Contains(failed.Text, base.Host+"/library/ubuntu") {
					t.Errorf("the text is %q", failed.Text)
				}
			})
		}
	}
}

func TestABaseThatHangsTakesNoUploadFromTheDestination(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	base := registrytest.Start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault {
		close(asked)
		<-answer
		return nil
	}})
	spec, layer := onBase(t, server, fake.Host, base.Host)
	base.PutBlob("library/ubuntu", layer)
	other := image(t, server, fake.Host, "acme/other", []string{"v1"}, noise(3, 2<<20))
	registries := registry.New(registry.Options{Keychain: authn.NewMultiKeychain(), Pace: registry.Pace{Large: 1}})
	t.Cleanup(registries.Close)
	h, err := haul.New(haul.Options{CAS: server.Dial(t, cas.Options{}), Registries: registries})
	if err != nil {
		t.Fatal(err)
	}
	var waited atomic.Value
	var hauls sync.WaitGroup
	hauls.Go(func() {
		r := request(spec)
		r.Waits = func(host string) func(bool) {
			waited.Store(host)
			return func(answered bool) {
				if !answered {
					t.Error("the base did not answer")
				}
			}
		}
		if _, err := h.Haul(t.Context(), r); err != nil {
			t.Error(err)
		}
	})
	<-asked
	if _, err := h.Haul(t.Context(), request(other)); err != nil {
		t.Error(err)
	}
	if got := waited.Load(); got != base.Host {
		t.Errorf("the haul waits for %v, want %s", got, base.Host)
	}
	close(answer)
	hauls.Wait()
	checkImage(t, fake.Host, "acme/other", "v1", other.Root)
	checkImage(t, fake.Host, "acme/app", "v1", spec.Root)
}

// The time in which a base stands still is not the destination's.
func TestABaseThatStandsStillGoesOn(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	var layer []byte
	var asked atomic.Int32
	base := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 1 {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(layer))
			return
		}
		w.Header().Set("Content-Length", "3000000")
		_, _ = w.Write(layer[:len(layer)/2])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(base.Close)
	spec, served := onBase(t, server, fake.Host, strings.TrimPrefix(base.URL, "http://"))
	layer = served
	registries := registry.New(registry.Options{Keychain: authn.NewMultiKeychain(), IdleTimeout: 200 * time.Millisecond})
	t.Cleanup(registries.Close)
	h, err := haul.New(haul.Options{CAS: server.Dial(t, cas.Options{}), Registries: registries})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	checkImage(t, fake.Host, "acme/app", "v1", spec.Root)
	if got := fake.Received()[""]; got != 0 {
		t.Errorf("%d bytes were sent in uploads that broke", got)
	}
}
