package main

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// registryOf serves an empty registry on loopback, over plain HTTP.
func registryOf(t *testing.T) (host string) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// put writes an image under a tag, and returns its digest.
func put(t *testing.T, image string) string {
	t.Helper()
	made, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	write(t, image, made)
	digest, err := made.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func write(t *testing.T, image string, made v1.Image) {
	t.Helper()
	tag, err := name.NewTag(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, made, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// record has a row written that says what was pushed.
func (d *testDaemon) record(t *testing.T, invocation string, e ledger.Entry) {
	t.Helper()
	d.enqueue(t, invocation, map[string]string{"//app:push": "a"})
	d.work(t, invocation, func(_ context.Context, job store.Job, _ store.Attempt) (ledger.Entry, error) {
		e.Target, e.InvocationID = job.Target, job.Invocation
		return e, nil
	})
}

func TestRegistriesAreAskedForWhatTheLedgerSays(t *testing.T) {
	d, host := newTestDaemon(t), registryOf(t)
	older, newer := put(t, host+"/acme/app:latest"), put(t, host+"/acme/app:latest")
	row := func(digest string) ledger.Entry {
		return ledger.Entry{Outcome: ledger.Pushed, Registry: host, Repository: "acme/app", Digest: digest, Tags: []ledger.Tag{{Name: "latest"}}}
	}
	// The older row does not hold the tag any more, and need not.
	d.record(t, "first", row(older))
	d.record(t, "second", row(newer))
	out, err := tool(t, "ledger", "verify", "--registry")
	if err != nil || !strings.Contains(out, "3 of 3 tags and digests are served as the ledger says") {
		t.Fatalf("what is served: %v\n%s", err, out)
	}

	// Somebody else moves the tag.
	stranger := put(t, host+"/acme/app:latest")
	out, err = tool(t, "ledger", "verify", "--registry")
	if want := "row 2: " + host + "/acme/app:latest is " + stranger + ", but the ledger says " + newer; err == nil || !strings.Contains(out, want) ||
		!strings.Contains(out, "2 of 3 ") {
		t.Errorf("a tag that was moved: %v, want it to contain %q\n%s", err, want, out)
	}

	if out, err = tool(t, "ledger", "verify", "--registry", "--since", "2026-03-03"); err != nil || !strings.Contains(out, "0 of 0 ") {
		t.Errorf("nothing was pushed since: %v\n%s", err, out)
	}
}

func TestRegistriesAreAskedAsTheirSettingsSay(t *testing.T) {
	d := newTestDaemon(t)
	secure := httptest.NewTLSServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(secure.Close)
	host := secure.Listener.Addr().String()
	d.record(t, "first", ledger.Entry{Outcome: ledger.Pushed, Registry: host, Repository: "acme/app", Digest: "sha256:" + strings.Repeat("a", 64)})
	dir := t.TempDir()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	settings := "registries: [{host: '" + host + "', tls: {ca: '" + filepath.Join(dir, "ca.pem") + "'}}]"
	for name, data := range map[string]string{"ca.pem": string(authority), "registries.yaml": settings} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := tool(t, "ledger", "verify", "--registry", "--registries", filepath.Join(dir, "registries.yaml"))
	if err == nil || !strings.Contains(out, "is no longer in the registry") {
		t.Errorf("a registry whose authority is in its settings: %v\n%s", err, out)
	}
}

func TestFlagsForRegistriesNeedThatTheyAreAsked(t *testing.T) {
	newTestDaemon(t)
	for _, flag := range []string{"--since=2026-03-01", "--plain-http=registry.test", "--registries=registries.yaml"} {
		name, _, _ := strings.Cut(flag, "=")
		if _, err := tool(t, "ledger", "verify", flag); err == nil || !strings.Contains(err.Error(), name+" needs --registry") {
			t.Errorf("%s: %v", flag, err)
		}
	}
}
