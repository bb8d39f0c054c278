package haul_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

// moved is a registry in which an image took the tag latest from another, and the tag new
// from nobody.
func moved(t *testing.T, rules registrytest.Rules) (fake *registrytest.Registry, h *haul.Hauler, before, after *pushspec.Spec) {
	t.Helper()
	fake, server := registrytest.Start(t, rules), castest.Start(t)
	h = impatient(t, server.Dial(t, cas.Options{}), registry.Options{})
	before = image(t, server, fake.Host, "acme/app", []string{"latest"}, noise(1, 1000))
	after = image(t, server, fake.Host, "acme/app", []string{"latest", "new"}, noise(2, 1000))
	for _, spec := range []*pushspec.Spec{before, after} {
		if _, err := h.Haul(t.Context(), request(spec)); err != nil {
			t.Fatal(err)
		}
	}
	return fake, h, before, after
}

func restore(before, after *pushspec.Spec) haul.Restore {
	return haul.Restore{
		Registry: after.Destination.Registry, Repository: after.Destination.Repository, Digest: after.Root, Invocation: "test",
		Tags: []haul.Tag{{Name: "latest", Previous: before.Root.String()}, {Name: "new"}, {Name: "same", Previous: after.Root.String()}},
	}
}

func TestTagsGoBackToWhatTheyPointedToBefore(t *testing.T) {
	fake, h, before, after := moved(t, registrytest.Rules{Deletes: true})
	want := []haul.Tag{{Name: "latest", Previous: before.Root.String()}, {Name: "new"}}
	for range 2 { // the second time nothing is left to do
		done, err := h.Restore(t.Context(), restore(before, after))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, done.Tags); diff != "" || len(done.Left) > 0 || done.Requests == 0 {
			t.Errorf("done is %+v; tags (-want +got):\n%s", done, diff)
		}
		if pointsTo(fake, "latest") != before.Root.String() || pointsTo(fake, "new") != "" || pointsTo(fake, after.Root.String()) == "" {
			t.Errorf("latest points to %q, new to %q, the image's digest to %q", pointsTo(fake, "latest"), pointsTo(fake, "new"), pointsTo(fake, after.Root.String()))
		}
	}
}

func TestWhatCannotGoBackIsLeftAloneAndNamed(t *testing.T) {
	for name, row := range map[string]struct {
		change func(t *testing.T, fake *registrytest.Registry, before *pushspec.Spec)
		claim  func(tags []string) (haul.Claim, error)
		want   []string
		tag    string
	}{
		"a new tag, in a registry that removes none": {
			change: func(*testing.T, *registrytest.Registry, *pushspec.Spec) {},
			want:   []string{"tag new was left alone: it was new, and the registry does not remove it (", "405"}, tag: "new",
		},
		"a tag that somebody has moved": {
			change: func(_ *testing.T, fake *registrytest.Registry, _ *pushspec.Spec) {
				fake.PutManifest("acme/app", "latest", "application/vnd.oci.image.manifest.v1+json", []byte(`{"schemaVersion":2}`))
			},
			want: []string{"tag latest was left alone: it points to sha256:"}, tag: "latest",
		},
		"a tag that somebody has removed": {
			change: func(_ *testing.T, fake *registrytest.Registry, _ *pushspec.Spec) { fake.Forget("acme/app", "latest") },
			want:   []string{"tag latest was left alone: somebody has removed it since"}, tag: "latest",
		},
		"a previous image that is gone": {
			change: func(_ *testing.T, fake *registrytest.Registry, before *pushspec.Spec) {
				fake.Forget("acme/app", before.Root.String())
			},
			want: []string{"tag latest was left alone: the registry no longer has sha256:", ", which it pointed to before"}, tag: "latest",
		},
		"a layer of the previous image that is gone": {
			change: func(_ *testing.T, fake *registrytest.Registry, before *pushspec.Spec) {
				fake.Forget("acme/app", before.Blobs[0].Digest.String())
			},
			want: []string{"tag latest was left alone: the registry no longer has all of sha256:"}, tag: "latest",
		},
		"a tag that is a newer build's": {
			change: func(*testing.T, *registrytest.Registry, *pushspec.Spec) {},
			claim:  func([]string) (haul.Claim, error) { return haul.Claim{Tags: []string{"new"}}, nil },
			want:   []string{"tag latest was left alone: a newer build has written it"}, tag: "latest",
		},
	} {
		t.Run(name, func(t *testing.T) {
			fake, h, before, after := moved(t, registrytest.Rules{})
			row.change(t, fake, before)
			points := pointsTo(fake, row.tag)
			r := restore(before, after)
			r.Claims = claims{tags: row.claim}
			done, err := h.Restore(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if pointsTo(fake, row.tag) != points {
				t.Errorf("tag %s has moved", row.tag)
			}
			if !slices.ContainsFunc(done.Left, func(left string) bool {
				return !slices.ContainsFunc(row.want, func(part string) bool { return !strings.Contains(left, part) })
			}) {
				t.Errorf("left are %q, want one with %q", done.Left, row.want)
			}
			if slices.ContainsFunc(done.Tags, func(tag haul.Tag) bool { return tag.Name == row.tag }) {
				t.Errorf("%s is among those that went back: %+v", row.tag, done.Tags)
			}
		})
	}
}

func TestARestoreThatARegistryRefusesFails(t *testing.T) {
	fake, h, before, after := moved(t, registrytest.Rules{})
	fake.SetRules(registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodPut {
			return &registrytest.Fault{Status: http.StatusForbidden}
		}
		return nil
	}})
	_, err := h.Restore(t.Context(), restore(before, after))
	wantClass(t, err, haul.Denied)
	fake.SetRules(registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodDelete {
			return &registrytest.Fault{Status: http.StatusBadGateway}
		}
		return nil
	}})
	_, err = h.Restore(t.Context(), restore(before, after))
	wantClass(t, err, haul.Unavailable)
}
