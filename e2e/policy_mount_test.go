package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/drayage/drayage/bes/bestest"
	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

// tenants are clients that share a daemon, a cache and a registry.
type tenants struct {
	cache    *rig.BazelRemote
	registry *rig.Proxy
	policy   map[string]any
}

func newTenants(t *testing.T) *tenants {
	t.Helper()
	w := &tenants{cache: rig.StartBazelRemote(t), registry: rig.StartProxy(t, rig.StartRegistry(t).Host)}
	var tokens []map[string]any
	dir := rig.TempDir(t)
	for _, name := range []string{"owner", "colleague", "attacker"} {
		file := filepath.Join(dir, name+".token")
		check(t, os.WriteFile(file, []byte(tokenOf(name)+"\n"), 0o600))
		tokens = append(tokens, map[string]any{"name": name, "secret_file": file})
	}
	w.policy = map[string]any{"tokens": tokens, "rules": []map[string]any{
		{"name": "private", "clients": []string{"token:owner", "token:colleague"}, "repositories": []string{"*/private/**"}},
		{"name": "public", "clients": []string{"token:attacker"}, "repositories": []string{"*/pub/**"}, "sources": []string{"*/pub/**"}},
	}}
	return w
}

func tokenOf(name string) string { return "a token that nobody but " + name + " has" }

func (w *tenants) daemon(t *testing.T, store string) *rig.Daemon {
	t.Helper()
	return rig.StartDrayaged(t, rig.DaemonConfig{CAS: w.cache.GRPC, Store: store, More: map[string]any{"policy": w.policy, "registries": []map[string]any{{"host": w.registry.Host}}}})
}

// image is a build of one image that begins with a layer, by its name.
func (w *tenants) image(t *testing.T, folder, layer string) *rig.Fleet {
	t.Helper()
	return rig.NewFleet(t, w.cache, rig.FleetPlan{
		Invocation: strings.ReplaceAll(folder, "/", "-") + "-" + layer, Registry: w.registry.Host, Images: 1, Repositories: 1,
		Folder: folder, Layer: layer, Shared: 2 << 20, Own: 1024, OwnEvery: 1,
	})
}

// push has a client send a build, and gives its row.
func push(t *testing.T, d *rig.Daemon, client string, f *rig.Fleet) ledger.Entry {
	t.Helper()
	sendAs(t, d, client, f)
	return onlyRow(t, d, f)
}

func sendAs(t *testing.T, d *rig.Daemon, client string, f *rig.Fleet) {
	t.Helper()
	upload := f.Upload(d)
	upload.Header = metadata.Pairs("x-drayage-token", tokenOf(client))
	if outcome := upload.Run(t.Context()); outcome.Exit != bestest.ExitOK {
		t.Fatalf("Bazel ends with %d: %v", outcome.Exit, outcome.Err)
	}
}

// onlyRow waits for the pushes of a build of one image.
func onlyRow(t *testing.T, d *rig.Daemon, f *rig.Fleet) ledger.Entry {
	t.Helper()
	d.WaitPushed(t, f.Invocation, pushLimit)
	rows := d.Ledger(t, ledger.Query{Invocation: f.Invocation})
	if len(rows) != 1 {
		t.Fatalf("the ledger has %d rows of %s", len(rows), f.Invocation)
	}
	return rows[0]
}

// A layer of a repository that is none of the attacker's is not mounted for whoever knows
// its digest: neither by what the daemon remembers, nor by what the database does for
// another daemon. Those who may push there have it mounted.
func TestALayerOfOthersIsNotHadByItsDigestAlone(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]bool{"remembered by the daemon": false, "told by the database to another daemon": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTenants(t)
			store := ""
			if database {
				store = rig.StartPostgres(t)
			}
			kept, lost := w.image(t, "private", "kept"), w.image(t, "private", "lost")
			attackKept, attackLost := w.image(t, "pub", "kept"), w.image(t, "pub", "lost")
			shared := w.image(t, "private/team", "lost")

			d := w.daemon(t, store)
			for _, f := range []*rig.Fleet{kept, lost} {
				if row := push(t, d, "owner", f); !row.Outcome.Good() {
					t.Fatalf("the owner's push: %s: %s", row.Outcome, row.Error)
				}
			}
			if database {
				d.Kill()
				d = w.daemon(t, store)
			}
			layer := lost.Images[0].Spec.Blobs[1].Digest
			w.cache.Evict(t, layer.Hex)

			row := push(t, d, "attacker", attackLost)
			if row.Outcome != ledger.Failed || row.ErrorClass != "evicted" ||
				!strings.Contains(row.Error, layer.String()+" (2.0 MiB) is not in the remote cache") || !strings.Contains(row.Error, "uild again with ") {
				t.Errorf("the attack, with the layer nowhere but in private: %s (%s): %s", row.Outcome, row.ErrorClass, row.Error)
			}
			if status := w.head(t, "pub/app0/blobs/"+layer.String()); status != http.StatusNotFound {
				t.Errorf("the layer is in pub: %d", status)
			}
			// What the cache has is sent from there, as it would be if nobody had pushed it.
			row = push(t, d, "attacker", attackKept)
			if !row.Outcome.Good() || row.Mounted.Blobs != 0 || row.Uploaded.Bytes < 2<<20 {
				t.Errorf("a layer of the cache: %s, %+v mounted, %+v sent: %s", row.Outcome, row.Mounted, row.Uploaded, row.Error)
			}
			w.wantNoMount(t)
			if row := push(t, d, "colleague", shared); !row.Outcome.Good() || row.Mounted.Bytes < 2<<20 {
				t.Errorf("a push of the same rule: %s, %+v mounted: %s", row.Outcome, row.Mounted, row.Error)
			}
		})
	}
}

// A layer that its owner's push uploads at this moment is no use to the attacker's, which
// sends its own out of the cache. In the same daemon it does not even wait.
func TestALayerThatOthersUploadAtTheMomentIsNotMounted(t *testing.T) {
	t.Parallel()
	for name, daemons := range map[string]int{"one daemon": 1, "two daemons": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTenants(t)
			store := ""
			if daemons > 1 {
				store = rig.StartPostgres(t)
			}
			first := w.daemon(t, store)
			second := first
			if daemons > 1 {
				second = w.daemon(t, store)
			}
			owned, attack := w.image(t, "private", "shared"), w.image(t, "pub", "shared")
			began, end := make(chan struct{}), make(chan struct{})
			tell, letGo := sync.OnceFunc(func() { close(began) }), sync.OnceFunc(func() { close(end) })
			t.Cleanup(letGo)
			w.registry.Break(func(writer http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.ContentLength == 2<<20 && strings.HasPrefix(r.URL.Path, "/v2/private/") {
					tell()
					<-end
				}
				next.ServeHTTP(writer, r)
			})
			sendAs(t, first, "owner", owned)
			select {
			case <-began:
			case <-time.After(pushLimit):
				t.Fatal("the layer is not being uploaded")
			}
			sendAs(t, second, "attacker", attack)
			if daemons > 1 {
				letGo() // another daemon's upload is waited for
			}
			row := onlyRow(t, second, attack)
			if !row.Outcome.Good() || row.Mounted.Blobs != 0 || row.Uploaded.Bytes < 2<<20 {
				t.Errorf("the attack: %s, %+v mounted, %+v sent: %s", row.Outcome, row.Mounted, row.Uploaded, row.Error)
			}
			letGo()
			if row := onlyRow(t, first, owned); !row.Outcome.Good() {
				t.Errorf("the owner's push: %s: %s", row.Outcome, row.Error)
			}
			w.wantNoMount(t)
		})
	}
}

// wantNoMount fails the test if a mount into pub was asked for from private.
func (w *tenants) wantNoMount(t *testing.T) {
	t.Helper()
	for _, r := range w.registry.Requests() {
		if from := r.URL.Query().Get("from"); strings.HasPrefix(from, "private/") && strings.Contains(r.URL.Path, "/pub/") {
			t.Errorf("a mount from %s was asked for: %s %s", from, r.Method, r.URL)
		}
	}
}

// head asks the registry for what is at a path of its API.
func (w *tenants) head(t *testing.T, path string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://"+w.registry.Host+"/v2/"+path, nil)
	check(t, err)
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	response.Body.Close()
	return response.StatusCode
}
