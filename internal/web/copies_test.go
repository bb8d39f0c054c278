package web_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/copies"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/web"
)

type copier struct {
	asked copies.Request
	err   error
}

func (c *copier) Copy(_ context.Context, request copies.Request) (copies.Queued, error) {
	c.asked = request
	return copies.Queued{Invocation: "copy-1", Digest: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}, Referrers: 2, Jobs: len(request.Destinations)}, c.err
}

func TestACopyIsAskedForOverTheAPI(t *testing.T) {
	c := &copier{}
	server := httptest.NewServer(web.NewHandler(web.Options{
		Source: &source{}, Copier: c, Ready: func() error { return nil }, Metrics: prometheus.NewRegistry(), Logger: zerolog.Nop(),
	}))
	t.Cleanup(server.Close)
	client, err := operator.NewClient(server.URL, operator.Login{})
	if err != nil {
		t.Fatal(err)
	}
	good := operator.Copy{Source: "ghcr.io/staging/app:v1", Destinations: []string{"ghcr.io/acme/app", "ghcr.io/acme/mirror:v2"}, Tags: []string{"latest"}, Overwrite: "never"}
	copied, err := client.Copy(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	if copied.InvocationID != "copy-1" || copied.Copies != 2 || copied.Referrers != 2 || !strings.HasPrefix(copied.Digest, "sha256:000") {
		t.Errorf("the answer is %+v", copied)
	}
	if c.asked.From.String() != good.Source || !c.asked.Referrers || len(c.asked.Destinations[1].KeepTags()) != 2 {
		t.Errorf("asked was %+v", c.asked)
	}

	for want, change := range map[string]func(*operator.Copy){
		"source: ":                           func(c *operator.Copy) { c.Source = "app" },
		"at least one destination is needed": func(c *operator.Copy) { c.Destinations = nil },
		"over the limit of 32":               func(c *operator.Copy) { c.Destinations = make([]string, 33) },
		"destination: ":                      func(c *operator.Copy) { c.Destinations = []string{"app"} },
		"must be a tag":                      func(c *operator.Copy) { c.Tags = []string{"a b"} },
		"overwrite must be always or never":  func(c *operator.Copy) { c.Overwrite = "once" },
		"must not have a digest":             func(c *operator.Copy) { c.Destinations[0] += "@" + copied.Digest },
	} {
		bad := good
		bad.Destinations = append([]string(nil), good.Destinations...)
		change(&bad)
		if _, err := client.Copy(t.Context(), bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error is %v, want it to contain %q", bad, err, want)
		}
	}

	c.err = errors.New("read ghcr.io/staging/app:v1: the registry does not have this image")
	if _, err := client.Copy(t.Context(), good); err == nil || !strings.Contains(err.Error(), "the registry does not have this image") {
		t.Errorf("error is %v", err)
	}
	shut, err := admission.New(admission.Policy{Rules: []admission.Rule{}})
	if err != nil {
		t.Fatal(err)
	}
	_, c.err = shut.Admit(admission.Push{Client: "token:ci"})
	if _, err := client.Copy(t.Context(), good); err == nil || !strings.Contains(err.Error(), "does not allow token:ci to push this") {
		t.Errorf("error is %v", err)
	}
}
