package dispatch_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
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
	"github.com/drayage/drayage/internal/store/storetest"
	"github.com/drayage/drayage/pushspec"
)

// yard is a store, workers that haul, and a registry: all of a daemon but its stream.
type yard struct {
	store  *store.Store
	fake   *registrytest.Registry
	worker *dispatch.Worker
	stop   func()
}

func newYard(t *testing.T, rules registrytest.Rules, workers int) *yard {
	t.Helper()
	y := &yard{fake: registrytest.Start(t, rules), store: storetest.Open(t, sqldbtest.SQLite, store.Options{})}
	registries := registry.New(registry.Options{Keychain: authn.NewMultiKeychain()})
	t.Cleanup(registries.Close)
	hauler, err := haul.New(haul.Options{Registries: registries})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := admission.New(admission.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	y.worker = dispatch.NewWorker(dispatch.WorkerOptions{
		Hauler: hauler, Invocations: y.store, Releases: y.store, Tags: y.store, Blobs: y.store, Policy: policy, Workers: workers, Logger: zerolog.Nop(),
	})
	return y
}
