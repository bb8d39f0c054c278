package registry_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

func TestAProbeTellsWhatARegistryCan(t *testing.T) {
	for name, c := range map[string]struct {
		rules  registrytest.Rules
		cannot string
	}{
		"all":     {registrytest.Rules{MultiTag: true, Referrers: true}, ""},
		"little":  {registrytest.Rules{NoMount: true, NoResume: true, MaxChunk: 4 << 20}, "lookup by mount, mount, resume, chunks over 4 MiB, several tags at once, referrers"},
		"no user": {registrytest.Rules{User: "ann", Password: "secret"}, "auth"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := registrytest.Start(t, c.rules)
			// It waits in earnest: a broken connection is noticed when it is.
			client := registry.New(registry.Options{Keychain: authn.NewMultiKeychain()})
			defer client.Close()
			findings, err := client.Probe(t.Context(), fake.Host, "drayage-doctor")
			if (err != nil) != (c.rules.User != "") {
				t.Errorf("the probe returned %v", err)
			}
			var cannot []string
			for _, f := range findings {
				if !f.Works {
					cannot = append(cannot, f.Name)
				}
				if f.Detail == "" && f.Err == "" {
					t.Errorf("finding %+v says nothing", f)
				}
			}
			if diff := cmp.Diff(c.cannot, strings.Join(cannot, ", ")); diff != "" {
				t.Errorf("what it cannot do (-want +got):\n%s", diff)
			}
		})
	}
}
