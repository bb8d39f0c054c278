package dispatch_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/dispatch"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// What comes out of a source goes to the destination before its digest is known. So a
// source that no rule allows is not even asked, whatever it is called.
func TestASourceThatThePolicyDoesNotAllowIsNeverAsked(t *testing.T) {
	base := registrytest.Start(t, registrytest.Rules{})
	secret := base.PutBlob("secret/app", []byte("a private layer"))
	port := base.Host[strings.LastIndex(base.Host, ":"):]
	for _, row := range []struct {
		name, source string
		sources      []string
		want         ledger.Outcome
	}{
		{"left out", base.Host + "/secret/app", nil, ledger.Denied},
		{"another repository", base.Host + "/secret/app", []string{base.Host + "/pub/**"}, ledger.Denied},
		{"another spelling of the host", "[::ffff:127.0.0.1]" + port + "/secret/app", []string{`\[*/**`}, ledger.Denied},
		{"another name of the host", "localhost" + port + "/secret/app", []string{base.Host + "/**"}, ledger.Denied},
		{"allowed", base.Host + "/secret/app", []string{base.Host + "/secret/*"}, ledger.Pushed},
	} {
		t.Run(row.name, func(t *testing.T) {
			y := newYard(t, sqldbtest.Drivers()[0])
			policy, err := admission.New(admission.Policy{Rules: []admission.Rule{
				{Name: "own", Clients: []string{"token:ci"}, Repositories: []string{y.fake.Host + "/acme/**"}, Sources: row.sources},
			}})
			if err != nil {
				t.Fatal(err)
			}
			registries := registry.New(registry.Options{Keychain: authn.NewMultiKeychain()})
			t.Cleanup(registries.Close)
			hauler, err := haul.New(haul.Options{Registries: registries})
			if err != nil {
				t.Fatal(err)
			}
			y.worker = dispatch.NewWorker(dispatch.WorkerOptions{
				Hauler: hauler, Invocations: y.store, Releases: y.store, Tags: y.store, Blobs: y.store, Policy: policy, Workers: 1, Logger: zerolog.Nop(),
			})
			y.run(t)
			before := base.Total()
			y.build(t, "build", time.Now(), sourced(t, y, secret, row.source))
			rows := y.rows(t, "build", "")
			if len(rows) != 1 || rows[0].Outcome != row.want {
				t.Fatalf("the rows are %+v", rows)
			}
			if asked := base.Total() > before; asked != (row.want == ledger.Pushed) {
				t.Errorf("the source was asked: %t", asked)
			}
			if y.fake.HasBlob("acme/app", secret) != (row.want == ledger.Pushed) {
				t.Error("the layer is where it must not be, or is not where it must be")
			}
		})
	}
}

// sourced pushes an image with a layer that is in another repository.
func sourced(t *testing.T, y *yard, digest, source string) store.Job {
	t.Helper()
	layer, err := v1.NewHash(digest)
	if err != nil {
		t.Fatal(err)
	}
	const size = int64(len("a private layer"))
	config := describe(types.OCIConfigJSON, "{}")
	manifest := describe(types.OCIManifestSchema1, `{"schemaVersion":2,"mediaType":"`+string(types.OCIManifestSchema1)+
		`","config":{"mediaType":"`+string(types.OCIConfigJSON)+`","size":2,"digest":"`+config.Digest.String()+
		`"},"layers":[{"mediaType":"`+string(types.OCILayer)+`","size":15,"digest":"`+digest+`"}]}`)
	spec := &pushspec.Spec{
		MediaType: pushspec.MediaType, Target: "@@//app:push",
		Destination: pushspec.Destination{Registry: y.fake.Host, Repository: "acme/app", Tags: []string{"v1"}},
		Root:        manifest.Digest, Manifests: []v1.Descriptor{manifest},
		Blobs: []pushspec.Blob{{Descriptor: config}, {
			Descriptor: v1.Descriptor{MediaType: types.OCILayer, Size: size, Digest: layer}, Sources: []pushspec.Source{{Repository: source}},
		}},
	}
	spec.Version()
	data, err := spec.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return store.Job{Invocation: "build", Target: "//app:push", Client: "token:ci", Spec: store.SpecRef{Inline: bytes.Clone(data)}}
}
