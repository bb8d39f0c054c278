package e2e_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
)

// From staging to production: by digest, with what refers to the image, between
// registries of two ages and within one.
func TestAnImageIsPromotedWithItsSignature(t *testing.T) {
	t.Parallel()
	cache, staging, production := rig.StartBazelRemote(t), rig.StartRegistry(t), rig.StartOldRegistry(t)
	spec := faultyImage(t, cache, staging.Host, "staging/app", "candidate", faultyNoise(1, 12<<20), faultyNoise(2, 1000))
	for i, artifact := range []string{"application/spdx+json", "application/x.signature"} {
		file := rig.CacheWriter{T: t, Cache: cache}
		rig.AddReferrer(t, spec, artifact, file.Put(artifact, 100+i))
		file.Flush()
	}
	check(t, spec.Validate())
	_, err := faultyHauler(t, cache.GRPC).Haul(t.Context(), haul.Request{
		Spec: spec, Repository: "staging/app", Tags: spec.Destination.Tags, Invocation: "e2e"})
	check(t, err)

	program, source := rig.Drayage(t), staging.Host+"/staging/app@"+spec.Root.String()
	for _, to := range []string{production.Host, staging.Host} {
		out, err := exec.CommandContext(t.Context(), program, "copy", source, to+"/release/app:v1", "--overwrite", "never").CombinedOutput()
		if err != nil {
			t.Fatalf("drayage copy: %v\n%s", err, out)
		}
		want := "6 blobs sent" // two layers, two files, a config and the empty one of the artifacts
		if to == staging.Host {
			want = "0 blobs sent (0 B), 6 mounted"
		}
		if !strings.Contains(string(out), "referrers: 2") || !strings.Contains(string(out), want) {
			t.Errorf("to %s: %s", to, out)
		}
		copied := *spec
		copied.Destination.Repository, copied.Destination.Tags = "release/app", []string{"v1"}
		wantThere(t, to, &copied)
		if err := whole(t.Context(), to, rig.FleetImage{Repository: "release/app", Digest: spec.Root.String(), Spec: spec}); err != nil {
			t.Errorf("to %s: %v", to, err)
		}
	}
	out, err := exec.CommandContext(t.Context(), program, "copy", source, production.Host+"/release/app:v1").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "already there") {
		t.Errorf("again: %v\n%s", err, out)
	}
}

// The daemon copies for operators, and its ledger says what it did.
func TestTheDaemonCopiesAndKeepsARecord(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	pushed := wantPushed(t, s.push(t, "//:push_prod"), "//:push_prod")
	out, err := s.drayage(t, "copy", reference(pushed), s.registry.Host+"/release/server:v1", s.registry.Host+"/release/mirror", "--tag", "stable", "--by-daemon")
	check(t, err)
	_, invocation, found := strings.Cut(strings.TrimSpace(out), "invocation: ")
	if !found || !strings.Contains(out, pushed.Digest) || !strings.Contains(out, "copies: 2") {
		t.Fatalf("drayage copy: %s", out)
	}
	if out, err := s.drayage(t, "wait", invocation); err != nil {
		t.Fatalf("drayage wait: %v\n%s", err, out)
	}
	rows := s.daemon.Ledger(t, ledger.Query{Invocation: invocation})
	if len(rows) != 2 {
		t.Fatalf("the ledger has %d rows of the copies", len(rows))
	}
	for _, row := range rows {
		if row.Outcome != ledger.Pushed || row.Digest != pushed.Digest || row.Command != "copy" || row.Uploaded.Blobs != 0 || row.Mounted.Blobs == 0 {
			t.Errorf("a row is %+v", row)
		}
		found, err := remote.Head(taggedAs(t, s.registry.Host+"/"+row.Repository+":stable"))
		check(t, err)
		if found.Digest.String() != pushed.Digest {
			t.Errorf("%s:stable is %s", row.Repository, found.Digest)
		}
	}
	if _, err := s.drayage(t, "copy", s.registry.Host+"/acme/server:none", s.registry.Host+"/release/server", "--by-daemon"); err == nil || !strings.Contains(err.Error(), "the registry does not have this image") {
		t.Errorf("of what is not there: %v", err)
	}
}
