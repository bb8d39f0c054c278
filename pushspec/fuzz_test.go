package pushspec_test

import (
	"testing"

	"github.com/drayage/drayage/pushspec"
)

// FuzzStamp: whatever the template and the value, what is filled in and passes the check
// is a tag.
func FuzzStamp(f *testing.F) {
	f.Add("v{VERSION}", "1.2.3")
	f.Add("{BRANCH|slug:-main}", "feature/x")
	f.Add("{A:-{B}}", "}{")
	f.Fuzz(func(t *testing.T, template, value string) {
		vars := map[string]string{}
		for _, name := range pushspec.Variables(template) {
			vars[name] = value
		}
		d := pushspec.Destination{Registry: "ghcr.io", Repository: template, Tags: []string{template, template}}
		stamped, err := d.Stamp(vars)
		if err != nil {
			return
		}
		if len(stamped.Tags) != 1 || pushspec.CheckTag(stamped.Tags[0]) != nil || pushspec.CheckRepository(stamped.Repository) != nil {
			t.Errorf("%q with %q is stamped %+v", template, value, stamped)
		}
	})
}

// FuzzAddress: what passes for a registry and a repository has one address, which is its
// own.
func FuzzAddress(f *testing.F) {
	for _, registry := range []string{"ghcr.io", "localhost:5000", "[::1]:5000", "index.docker.io", "127.0.0.1", "a.b:0", "docker.io"} {
		f.Add(registry, "acme/app")
	}
	f.Fuzz(func(t *testing.T, registry, repository string) {
		if pushspec.CheckRegistry(registry) != nil || pushspec.CheckRepository(repository) != nil {
			return
		}
		host, path := pushspec.Destination{Registry: registry, Repository: repository}.Address()
		again, same := pushspec.Destination{Registry: host, Repository: path}.Address()
		if host == "" || path == "" || again != host || same != path {
			t.Errorf("%s/%s has the address %s/%s, and that has %s/%s", registry, repository, host, path, again, same)
		}
	})
}

// FuzzSource: a digest that is taken apart is the one that was put together.
func FuzzSource(f *testing.F) {
	f.Add("blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262")
	f.Add("sha256:")
	f.Fuzz(func(t *testing.T, text string) {
		if function, hex, err := pushspec.SplitCAS(text); err == nil && (function+":"+hex != text || len(hex) < 32) {
			t.Errorf("%q is %q and %q", text, function, hex)
		}
	})
}
