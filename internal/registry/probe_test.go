package registry_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

func TestAProbeTellsWhatARegistryCan(t *testing.T) {
	everything := registrytest.Rules{MultiTag: true, Referrers: true, Deletes: true}
	with := func(fault func(*http.Request) *registrytest.Fault) registrytest.Rules {
		rules := everything
		rules.Fault = fault
		return rules
	}
	answer := func(method, part string, status int) func(*http.Request) *registrytest.Fault {
		return on(method, part, registrytest.Fault{Status: status})
	}
	for name, c := range map[string]struct {
		rules  registrytest.Rules
		cannot string
	}{
		"all":                {everything, ""},
		"little":             {registrytest.Rules{NoMount: true, NoResume: true, MaxChunk: 4 << 20}, "lookup by mount, mount, resume, chunks over 4 MiB, several tags at once, referrers, referrers API, cleaning up"},
		"no user":            {registrytest.Rules{User: "ann", Password: "secret"}, "auth"},
		"mounts are refused": {with(answer("POST", "mount=", 405)), "lookup by mount, mount"},
		"HEAD is refused":    {with(answer("HEAD", "", 405)), "lookup of blobs, lookup of tags"},
		"PUT of bytes is refused": {with(func(r *http.Request) *registrytest.Fault {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/") && r.ContentLength > 0 {
				return &registrytest.Fault{Status: 405}
			}
			return nil
		}), "upload, resume"},
		"PATCH is refused":       {with(answer("PATCH", "", 501)), "upload by PATCH, chunks over 4 MiB"},
		"a least chunk":          {registrytest.Rules{MultiTag: true, Referrers: true, Deletes: true, MinChunk: 5 << 20}, "small chunks"},
		"immutable tags":         {registrytest.Rules{MultiTag: true, Referrers: true, Deletes: true, ImmutableTags: true}, "tags can be moved"},
		"several tags refused":   {with(answer("PUT", "tag=", 414)), "several tags at once"},
		"no list of tags":        {with(answer("GET", "/tags/list", 403)), "list of tags"},
		"no digest":              {with(on("PUT", "/manifests/", registrytest.Fault{Amend: func(status int, h http.Header) int { h.Del("Docker-Content-Digest"); return status }})), "digest told"},
		"no referrers API":       {with(answer("GET", "/referrers/", 404)), "referrers API"},
		"nothing can be deleted": {with(answer("DELETE", "", 405)), "cleaning up"},
		"no manifest":            {with(answer("PUT", "/manifests/", 400)), "manifest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := registrytest.Start(t, c.rules)
			// It waits in earnest: a broken connection is noticed when it is.
			client := registry.New(registry.Options{Keychain: authn.NewMultiKeychain()})
			defer client.Close()
			findings, err := client.Probe(t.Context(), fake.Host, "drayage-doctor")
			if (err != nil) != (c.cannot == "auth" || c.cannot == "manifest") {
				t.Errorf("the probe returned %v", err)
			}
			var cannot []string
			for _, f := range findings {
				if !f.Works {
					cannot = append(cannot, f.Name)
				}
				if f.Detail == "" && f.Err == "" || f.Detail != "" && f.Err != "" {
					t.Errorf("finding %+v says nothing, or two things", f)
				}
			}
			if diff := cmp.Diff(c.cannot, strings.Join(cannot, ", ")); diff != "" {
				t.Errorf("what it cannot do (-want +got):\n%s\n%+v", diff, findings)
			}
			if left := fake.Holds(); c.rules.Deletes && name != "nothing can be deleted" && left > 0 {
				t.Errorf("%d things stay there", left)
			}
		})
	}
}

func TestAProbeThatIsEndedCleansUp(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	fake := registrytest.Start(t, registrytest.Rules{Deletes: true, Fault: func(r *http.Request) *registrytest.Fault {
		if strings.Contains(r.URL.Path, "/manifests/drayage-doctor-") && r.Method == http.MethodPut {
			end()
		}
		return nil
	}})
	client := registry.New(registry.Options{Keychain: authn.NewMultiKeychain()})
	defer client.Close()
	_, _ = client.Probe(ctx, fake.Host, "drayage-doctor")
	// What was on its way when it ended may have arrived: a tag of a manifest that is
	// known goes with it.
	if left := fake.Holds(); left > 0 || ctx.Err() == nil {
		t.Errorf("%d things stay there", left)
	}
}
