package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

// gatedSpec writes the push spec of an image, named by its tag, whose tag has a gate.
func gatedSpec(t *testing.T, gate pushspec.Gate, registry, repository string, tags ...string) string {
	t.Helper()
	path := specFile(t, "//app:"+repository, repository, registry, repository, tags...)
	spec, err := readSpec(path)
	if err != nil {
		t.Fatal(err)
	}
	spec.Destination.Gate = gate
	spec.Version()
	data, err := spec.Encode()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), repository+pushspec.FileSuffix)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhoPushesByHandSaysThatTheBuildWentWell(t *testing.T) {
	registry := registrytest.Start(t, registrytest.Rules{})
	if out, err := tool(t, "push", gatedSpec(t, pushspec.GateGreen, registry.Host, "green", "v1")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, found := registry.Manifest("green", "v1"); !found {
		t.Error("the tag is not there")
	}
}

func TestAnImageThatNeedsApprovalIsPushedByHandIfItIsApproved(t *testing.T) {
	registry := registrytest.Start(t, registrytest.Rules{})
	approved := gatedSpec(t, pushspec.GateApproved, registry.Host, "approved", "v1")
	green := gatedSpec(t, pushspec.GateGreen, registry.Host, "green", "v1")
	_, err := tool(t, "push", green, approved)
	want := "nothing was pushed: the gate of //app:approved is approved, and nobody has approved this push. " +
		"Build with --bes_backend, so that the daemon pushes, and run drayage promote INVOCATION; or give --approved, if you approve it yourself"
	if err == nil || err.Error() != want {
		t.Errorf("error is\n%v\nwant\n%s", err, want)
	}
	if _, found := registry.Manifest("green", digestOf(t, "green").String()); found {
		t.Error("the other image was pushed")
	}
	if out, err := tool(t, "push", "--approved", green, approved); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, repository := range []string{"green", "approved"} {
		if _, found := registry.Manifest(repository, "v1"); !found {
			t.Errorf("the tag of %s is not there", repository)
		}
	}
	// Without tags there is nothing to approve.
	if out, err := tool(t, "push", gatedSpec(t, pushspec.GateApproved, registry.Host, "untagged")); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTagsBehindAGateMoveWhenAllImagesAreThere(t *testing.T) {
	var mended atomic.Bool
	registry := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if !mended.Load() && strings.HasPrefix(r.URL.Path, "/v2/bad/manifests/") && r.Method == http.MethodPut {
			return &registrytest.Fault{Status: http.StatusForbidden}
		}
		return nil
	}})
	specs := []string{
		gatedSpec(t, pushspec.GateGreen, registry.Host, "good", "v1"),
		gatedSpec(t, pushspec.GateGreen, registry.Host, "bad", "v1"),
		gatedSpec(t, "", registry.Host, "free", "v1"),
	}
	push := append([]string{"push"}, specs...)
	_, err := tool(t, push...)
	want := "no tag of //app:good, //app:bad was written, since the gate needs all images in their registries: mend what failed, and push again"
	if err == nil || !strings.HasSuffix(err.Error(), want) || !strings.Contains(err.Error(), "push //app:bad to ") {
		t.Errorf("error is\n%v\nwant one that ends\n%s", err, want)
	}
	if _, found := registry.Manifest("good", "v1"); found {
		t.Error("the tag of good has moved")
	}
	if _, found := registry.Manifest("good", digestOf(t, "good").String()); !found {
		t.Error("the image of good is not there")
	}
	if _, found := registry.Manifest("free", "v1"); !found {
		t.Error("the tag of free, which has no gate, has not moved")
	}

	mended.Store(true)
	out, err := tool(t, push...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, repository := range []string{"good", "bad", "free"} {
		if _, found := registry.Manifest(repository, "v1"); !found {
			t.Errorf("the tag of %s is not there", repository)
		}
	}
	for _, line := range []string{
		"/good@" + digestOf(t, "good").String() + "  tags: v1  0 blobs sent (0 B), 0 mounted, ",
		"/bad@" + digestOf(t, "bad").String() + "  tags: v1  ",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("printed\n%swant %s", out, line)
		}
	}
}
