package haul_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

// claims are those of several processes. What has no answer is granted.
type claims struct {
	blobs     func(blobs []pushspec.Blob) (haul.Claim, error)
	referrers func(subject v1.Hash) (haul.Claim, error)
	tags      func(tags []string) (haul.Claim, error)
}

func (c claims) ClaimBlobs(_ context.Context, blobs []pushspec.Blob) (haul.Claim, error) {
	if c.blobs == nil {
		return haul.Claim{}, nil
	}
	return c.blobs(blobs)
}

func (c claims) ClaimReferrers(_ context.Context, subject v1.Hash) (haul.Claim, error) {
	if c.referrers == nil {
		return haul.Claim{}, nil
	}
	return c.referrers(subject)
}

func (c claims) ClaimTags(_ context.Context, tags []haul.Tag) (haul.Claim, error) {
	var names []string
	for _, tag := range tags {
		names = append(names, tag.Name)
	}
	if c.tags == nil {
		return haul.Claim{Tags: names}, nil
	}
	return c.tags(names)
}

func TestBlobsAreClaimedBeforeTheFirstRequestAndReleasedAfterTheLast(t *testing.T) {
	for _, forbidden := range []bool{false, true} {
		server, rules := castest.Start(t), registrytest.Rules{}
		if forbidden {
			rules.Fault = func(*http.Request) *registrytest.Fault { return &registrytest.Fault{Status: http.StatusForbidden} }
		}
		fake := registrytest.Start(t, rules)
		spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 1000), noise(2, 10))
		foreign := descriptor(types.OCIRestrictedLayer, noise(3, 10))
		spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: foreign, Sources: []pushspec.Source{{Repository: "mcr.example/windows"}}})
		var claimed []string
		before, after := -1, -1
		r := request(spec)
		r.Claims = claims{blobs: func(blobs []pushspec.Blob) (haul.Claim, error) {
			for _, blob := range blobs {
				claimed = append(claimed, blob.Digest.String())
			}
			before = fake.Total()
			return haul.Claim{Release: func(written bool) {
				after = fake.Total()
				if written == forbidden {
					t.Errorf("registry forbids it: %t; the claim ended as written: %t", forbidden, written)
				}
			}}, nil
		}}
		_, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), r)
		if (err != nil) != forbidden {
			t.Fatal(err)
		}
		// Neither the config, which the spec brings along, nor what is not to be distributed.
		if want := []string{spec.Blobs[0].Digest.String(), spec.Blobs[1].Digest.String()}; !slices.Equal(claimed, want) {
			t.Errorf("claimed %q, want %q", claimed, want)
		}
		if before != 0 || after != fake.Total() {
			t.Errorf("claimed after %d requests and released after %d of %d", before, after, fake.Total())
		}
	}
}

func TestAHaulEndsWithTheErrorOfItsClaim(t *testing.T) {
	refused := errors.New("refused")
	refuse := func() (haul.Claim, error) { return haul.Claim{}, refused }
	for name, claims := range map[string]claims{
		"blobs":     {blobs: func([]pushspec.Blob) (haul.Claim, error) { return refuse() }},
		"referrers": {referrers: func(v1.Hash) (haul.Claim, error) { return refuse() }},
		"tags":      {tags: func([]string) (haul.Claim, error) { return refuse() }},
	} {
		t.Run(name, func(t *testing.T) {
			server, fake := castest.Start(t), registrytest.Start(t, registrytest.Rules{})
			spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 1000))
			refer(t, server, spec, "sbom")
			r := request(spec)
			r.Claims = claims
			if _, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), r); !errors.Is(err, refused) {
				t.Errorf("got error %v, want that of the claim", err)
			}
			if _, found := fake.Manifest("acme/app", "v1"); found {
				t.Error("the tag was written")
			}
		})
	}
}

func TestOnlyTagsThatAreGrantedAreWritten(t *testing.T) {
	for _, many := range []bool{false, true} {
		server, fake := castest.Start(t), registrytest.Start(t, registrytest.Rules{MultiTag: many})
		spec := image(t, server, fake.Host, "acme/app", []string{"v1", "v2", "v3"}, noise(1, 1000))
		r := request(spec)
		r.Claims = claims{tags: func([]string) (haul.Claim, error) { return haul.Claim{Tags: []string{"v1", "v3"}}, nil }}
		if _, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		for tag, want := range map[string]bool{"v1": true, "v2": false, "v3": true} {
			if _, found := fake.Manifest("acme/app", tag); found != want {
				t.Errorf("registry takes many tags at once: %t; tag %s is there: %t, want %t", many, tag, found, want)
			}
		}
	}
}

func TestNothingIsWrittenAfterTheEndOfALease(t *testing.T) {
	server, fake := castest.Start(t), registrytest.Start(t, registrytest.Rules{})
	spec := image(t, server, fake.Host, "acme/app", []string{"v1", "v2"}, noise(1, 1000))
	r := request(spec)
	ended := make(chan struct{})
	close(ended)
	r.Claims = claims{tags: func(tags []string) (haul.Claim, error) { return haul.Claim{Tags: tags, Ended: ended}, nil }}
	_, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), r)
	if failed, ok := errors.AsType[*haul.Error](err); !ok || failed.Class != haul.Unavailable {
		t.Errorf("got error %v, want one after which the push is tried again", err)
	}
	for _, tag := range r.Tags {
		if _, found := fake.Manifest("acme/app", tag); found {
			t.Errorf("tag %s was written", tag)
		}
	}
}
