package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/registry/registrytest"
)

func TestCopyBringsAnImageToSeveralPlaces(t *testing.T) {
	staging, eu, us := registrytest.Start(t, registrytest.Rules{}), registrytest.Start(t, registrytest.Rules{}), registrytest.Start(t, registrytest.Rules{})
	digest := put(t, staging.Host+"/staging/app:candidate")
	source := staging.Host + "/staging/app@" + digest
	out, err := tool(t, "copy", source, eu.Host+"/acme/app:stable", us.Host+"/acme/app", "--tag", "v1", "--tag", "latest")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		regexp.QuoteMeta(eu.Host+"/acme/app@"+digest) + `  tags: stable, v1, latest  referrers: 0  2 blobs sent \(\d+ B\), 0 mounted, 0 there`,
		regexp.QuoteMeta(us.Host+"/acme/app@"+digest) + `  tags: v1, latest  `,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the output is\n%s\nwant %s", out, want)
		}
	}
	for _, to := range []struct {
		registry *registrytest.Registry
		tags     []string
	}{{eu, []string{"stable", "v1", "latest"}}, {us, []string{"v1", "latest"}}} {
		for _, tag := range to.tags {
			if _, found := to.registry.Manifest("acme/app", tag); !found {
				t.Errorf("tag %s is not there", tag)
			}
		}
	}
	out, err = tool(t, "copy", source, eu.Host+"/acme/app:v1")
	if err != nil || !strings.Contains(out, "already there") {
		t.Errorf("again: %v\n%s", err, out)
	}
}

func TestCopyToOnePlaceThatFailsCopiesToTheOthers(t *testing.T) {
	staging, good := registrytest.Start(t, registrytest.Rules{}), registrytest.Start(t, registrytest.Rules{})
	bad := registrytest.Start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault {
		return &registrytest.Fault{Status: http.StatusForbidden}
	}})
	put(t, staging.Host+"/staging/app:v1")
	out, err := tool(t, "copy", staging.Host+"/staging/app:v1", bad.Host+"/acme/app:v1", good.Host+"/acme/app:v1")
	if err == nil || !strings.Contains(err.Error(), "copy to "+bad.Host+"/acme/app: ") || !strings.Contains(out, good.Host) {
		t.Errorf("error is %v, output is\n%s", err, out)
	}
	if _, found := good.Manifest("acme/app", "v1"); !found {
		t.Error("the other destination has no copy")
	}
}

func TestCopyLeavesATagThatIsNeverWrittenOver(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{})
	first, second := put(t, fake.Host+"/acme/app:v1"), put(t, fake.Host+"/staging/app:v1")
	_, err := tool(t, "copy", fake.Host+"/staging/app:v1", fake.Host+"/acme/app:v1", "--overwrite", "never")
	if err == nil || !strings.Contains(err.Error(), first) || !strings.Contains(err.Error(), second) {
		t.Errorf("error is %v, want both digests", err)
	}
}

func TestCopySaysWhatIsWrongWithItsArguments(t *testing.T) {
	const digest = "@sha256:0000000000000000000000000000000000000000000000000000000000000000"
	for want, args := range map[string][]string{
		"requires at least 2 arg":           {"ghcr.io/acme/app:v1"},
		"the source: ":                      {"app:v1", "ghcr.io/acme/app"},
		"must have a tag or a digest":       {"127.0.0.1:1/acme/app", "ghcr.io/acme/app"},
		"destination: ":                     {"ghcr.io/acme/app:v1", "acme/app"},
		"must not have a digest":            {"ghcr.io/acme/app:v1", "ghcr.io/acme/app" + digest},
		"must be a tag":                     {"ghcr.io/acme/app:v1", "ghcr.io/acme/app", "--tag", "a/b"},
		"overwrite must be always or never": {"ghcr.io/acme/app:v1", "ghcr.io/acme/app", "--overwrite", "once"},
	} {
		if _, err := tool(t, append([]string{"copy"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want it to contain %q", args, err, want)
		}
	}
}

// The layers' source is no base's, and the destination is not blamed for it.
func TestCopyToldOfALayerThatIsGone(t *testing.T) {
	staging, to := registrytest.Start(t, registrytest.Rules{}), registrytest.Start(t, registrytest.Rules{})
	put(t, staging.Host+"/staging/app:v1")
	staging.SetRules(registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if strings.Contains(r.URL.Path, "/blobs/") {
			return &registrytest.Fault{Status: http.StatusNotFound, Code: "BLOB_UNKNOWN"}
		}
		return nil
	}})
	_, err := tool(t, "copy", staging.Host+"/staging/app:v1", to.Host+"/acme/app:v1")
	if err == nil || !strings.Contains(err.Error(), "it is no longer in "+staging.Host+"/staging/app") || strings.Contains(err.Error(), "base") {
		t.Errorf("error is %v", err)
	}
}
