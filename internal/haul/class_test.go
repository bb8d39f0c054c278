package haul_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

func TestFailuresHaveTheirClass(t *testing.T) {
	for name, c := range map[string]struct {
		fault registrytest.Fault
		want  haul.Class
	}{
		"forbidden":   {registrytest.Fault{Status: http.StatusForbidden}, haul.Denied},
		"no method":   {registrytest.Fault{Status: http.StatusMethodNotAllowed}, haul.Rejected},
		"bad gateway": {registrytest.Fault{Status: http.StatusBadGateway}, haul.Unavailable},
		"no answer":   {registrytest.Fault{}, haul.Unavailable},
		"come back later": {registrytest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"900"}}},
			haul.Throttled},
		"elsewhere": {registrytest.Fault{Status: http.StatusTemporaryRedirect, Header: http.Header{"Location": {"http://elsewhere.example/"}}},
			haul.Rejected},
	} {
		t.Run(name, func(t *testing.T) {
			server := castest.Start(t)
			fake := registrytest.Start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault { return &c.fault }})
			spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 10))
			_, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec))
			failed, ok := errors.AsType[*haul.Error](err)
			if !ok || failed.Class != c.want || !strings.Contains(err.Error(), "registry") {
				t.Errorf("got error %v, want class %s", err, c.want)
			}
			if c.want == haul.Throttled && failed.RetryAfter < 800*time.Second {
				t.Errorf("the error says to come back in %s, want 900s", failed.RetryAfter)
			}
		})
	}
}

func TestTheCachesRefusalIsNotTheRegistrys(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 10))
	server.SetRules(castest.Rules{Fail: func(string) error { return status.Error(codes.PermissionDenied, "no key") }})
	_, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec))
	failed, ok := errors.AsType[*haul.Error](err)
	if !ok || failed.Class != haul.Denied || !strings.Contains(err.Error(), "remote cache") || strings.Contains(err.Error(), "registry") {
		t.Errorf("got error %v, want one of class %s that names the cache alone", err, haul.Denied)
	}
}
