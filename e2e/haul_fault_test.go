package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

// wire is a TCP proxy that cuts connections after a random number of bytes, or
// takes none at all.
type wire struct {
	host string
	sent atomic.Int64 // bytes towards the target
	down atomic.Bool
	// cut draws how many bytes the next connection may carry; nil is for ever.
	cut atomic.Pointer[func() int64]
}

func startWire(t *testing.T, target string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	w := &wire{host: listener.Addr().String()}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { w.carry(ctx, client, target) })
		}
	})
	t.Cleanup(func() {
		cancel()
		listener.Close()
		running.Wait()
	})
	return w
}

func (w *wire) carry(ctx context.Context, client net.Conn, target string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(ctx, func() { client.Close() })
	if w.down.Load() {
		return
	}
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	context.AfterFunc(ctx, func() { server.Close() })
	var answers sync.WaitGroup
	answers.Go(func() {
		defer cancel()
		_, _ = io.Copy(client, server) // ends with either connection
	})
	var upstream io.Reader = client
	if cut := w.cut.Load(); cut != nil {
		upstream = io.LimitReader(client, (*cut)())
	}
	_, _ = io.Copy(io.MultiWriter(server, counter{&w.sent}), upstream)
	cancel()
	answers.Wait()
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// faultyImage puts layers into a cache and makes the spec of an image of them.
func faultyImage(t *testing.T, cache *rig.BazelRemote, host, repository, tag string, layers ...[]byte) *pushspec.Spec {
	t.Helper()
	describe := func(mediaType types.MediaType, data []byte) v1.Descriptor {
		digest, size, err := v1.SHA256(bytes.NewReader(data))
		check(t, err)
		return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}
	}
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	spec := &pushspec.Spec{SchemaVersion: pushspec.SchemaVersion, MediaType: pushspec.MediaType, Target: "//e2e:" + tag,
		Destination: pushspec.Destination{Registry: host, Repository: repository, Tags: []string{tag}}}
	var diffIDs []v1.Hash
	for _, data := range layers {
		d := describe(types.OCILayer, data)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, cache.HTTP+"/cas/"+d.Digest.Hex, bytes.NewReader(data))
		check(t, err)
		response, err := http.DefaultClient.Do(request)
		check(t, err)
		response.Body.Close()
		manifest.Layers, diffIDs = append(manifest.Layers, d), append(diffIDs, d.Digest)
		spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: d, Sources: []pushspec.Source{{CAS: d.Digest.String()}}})
	}
	config, err := json.Marshal(v1.ConfigFile{Architecture: "amd64", OS: "linux", RootFS: v1.RootFS{Type: "layers", DiffIDs: diffIDs}})
	check(t, err)
	manifest.Config = describe(types.OCIConfigJSON, config)
	embedded := manifest.Config
	embedded.Data = config
	spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: embedded})
	data, err := json.Marshal(manifest)
	check(t, err)
	root := describe(types.OCIManifestSchema1, data)
	root.Data = data
	spec.Root, spec.Manifests = root.Digest, []v1.Descriptor{root}
	check(t, spec.Validate())
	return spec
}

func faultyHauler(t *testing.T, cache string) *haul.Hauler {
	t.Helper()
	return hauler(t, cache, authn.NewMultiKeychain())
}

func hauler(t *testing.T, cache string, keychain authn.Keychain) *haul.Hauler {
	t.Helper()
	client, err := cas.Dial(cache, cas.Options{})
	check(t, err)
	registries := registry.New(registry.Options{Keychain: keychain})
	t.Cleanup(func() {
		registries.Close()
		check(t, client.Close())
	})
	h, err := haul.New(haul.Options{CAS: client, Registries: registries})
	check(t, err)
	return h
}

// haulAll hauls until all images are there, as the job queue does: what may pass
// is tried again.
func haulAll(t *testing.T, h *haul.Hauler, specs []*pushspec.Spec) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var hauls sync.WaitGroup
	for _, spec := range specs {
		hauls.Go(func() {
			for {
				_, err := h.Haul(ctx, haul.Request{Spec: spec, Repository: spec.Destination.Repository, Tags: spec.Destination.Tags, Invocation: "e2e"})
				if failed, ok := errors.AsType[*haul.Error](err); ok && !failed.Class.Final() && ctx.Err() == nil {
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", spec.Target, err)
				}
				return
			}
		})
	}
	hauls.Wait()
}

// wantThere asks the registry itself for the image under its tag, and for its
// blobs.
func wantThere(t *testing.T, host string, spec *pushspec.Spec) {
	t.Helper()
	head := func(path string) *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://"+host+"/v2/"+spec.Destination.Repository+path, http.NoBody)
		check(t, err)
		request.Header.Set("Accept", string(types.OCIManifestSchema1))
		response, err := http.DefaultClient.Do(request)
		check(t, err)
		response.Body.Close()
		return response
	}
	if got := head("/manifests/" + spec.Destination.Tags[0]).Header.Get("Docker-Content-Digest"); got != spec.Root.String() {
		t.Errorf("%s: the tag points to %q, want %s", spec.Target, got, spec.Root)
	}
	for _, blob := range spec.Blobs {
		if response := head("/blobs/" + blob.Digest.String()); response.StatusCode != http.StatusOK || response.ContentLength != blob.Size {
			t.Errorf("%s: blob %s answers %s with %d bytes, want %d", spec.Target, blob.Digest, response.Status, response.ContentLength, blob.Size)
		}
	}
}

func faultyNoise(seed byte, size int) []byte {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(data)
	return data
}

var realRegistries = map[string]func(rig.T) *rig.Registry{"distribution 3": rig.StartRegistry, "distribution 2.8": rig.StartOldRegistry}

func TestImagesArriveOverConnectionsThatAreCut(t *testing.T) {
	t.Parallel()
	// Version 2.8 gives an upload up whose connection breaks: there a layer has to
	// pass as a whole, so connections carry more.
	longest := map[string]int64{"distribution 3": 12 << 20, "distribution 2.8": 150 << 20}
	for name, start := range realRegistries {
		t.Run(name, func(t *testing.T) {
			cache, target := rig.StartBazelRemote(t), start(t)
			wire := startWire(t, target.Host)
			dice := rand.New(rand.NewPCG(7, 7))
			var mu sync.Mutex
			cut := func() int64 {
				mu.Lock()
				defer mu.Unlock()
				return 1 + dice.Int64N(longest[name])
			}
			wire.cut.Store(&cut)
			var specs []*pushspec.Spec
			base, size := faultyNoise(1, 40<<20), int64(40<<20)
			for i := range 8 {
				specs = append(specs, faultyImage(t, cache, wire.host, fmt.Sprintf("acme/app-%d", i%3), fmt.Sprintf("v%d", i), base, faultyNoise(byte(10+i), 2<<20)))
				size += 2 << 20
			}
			haulAll(t, faultyHauler(t, cache.GRPC), specs)
			for _, spec := range specs {
				wantThere(t, target.Host, spec)
			}
			t.Logf("%d bytes were sent for blobs of %d", wire.sent.Load(), size)
			if sent := wire.sent.Load(); sent > 3*size {
				t.Errorf("%d bytes were sent for blobs of %d", sent, size)
			}
		})
	}
}

func TestImagesArriveThroughServerErrorsAndAnOutage(t *testing.T) {
	t.Parallel()
	for name, start := range realRegistries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache, target := rig.StartBazelRemote(t), start(t)
			proxy := rig.StartProxy(t, target.Host)
			wire := startWire(t, proxy.Host)
			dice := rand.New(rand.NewPCG(8, 8))
			var mu sync.Mutex
			proxy.Break(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				mu.Lock()
				roll := dice.IntN(100)
				mu.Unlock()
				switch {
				case roll < 10:
					w.WriteHeader(http.StatusInternalServerError)
				case roll < 13:
					w.Header().Set("Retry-After", "1")
					w.WriteHeader(http.StatusTooManyRequests)
				case roll < 16:
					w.WriteHeader(http.StatusTooManyRequests)
				default:
					next.ServeHTTP(w, r)
				}
			})
			wire.down.Store(true)
			back := time.AfterFunc(30*time.Second, func() { wire.down.Store(false) })
			defer back.Stop()
			var specs []*pushspec.Spec
			base := faultyNoise(2, 10<<20)
			for i := range 8 {
				specs = append(specs, faultyImage(t, cache, wire.host, fmt.Sprintf("acme/app-%d", i%3), fmt.Sprintf("v%d", i), base, faultyNoise(byte(10+i), 300<<10)))
			}
			haulAll(t, faultyHauler(t, cache.GRPC), specs)
			for _, spec := range specs {
				wantThere(t, target.Host, spec)
			}
		})
	}
}

func TestACacheThatRestartsInTheMiddleOfALayer(t *testing.T) {
	t.Parallel()
	cache, target := rig.StartBazelRemote(t), rig.StartRegistry(t)
	wire := startWire(t, target.Host)
	const size = 1 << 30
	spec := faultyImage(t, cache, wire.host, "acme/app", "v1", faultyNoise(3, size))
	victim := faultyImage(t, cache, wire.host, "acme/victim", "v1", []byte("something to forget"))
	before := cache.PID()
	var restarted sync.WaitGroup
	restarted.Go(func() {
		rig.WaitFor(t, time.Minute, "a third of the layer", func() error {
			if wire.sent.Load() < size/3 {
				return errors.New("it is not there yet")
			}
			return nil
		})
		// To forget a blob the cache is stopped and started again.
		cache.Evict(t, victim.Blobs[0].Digest.Hex)
	})
	haulAll(t, faultyHauler(t, cache.GRPC), []*pushspec.Spec{spec})
	restarted.Wait()
	wantThere(t, target.Host, spec)
	if sent := wire.sent.Load(); sent > size+size/10 {
		t.Errorf("%d bytes were sent for a layer of %d", sent, size)
	}
	if cache.PID() == before {
		t.Error("the cache did not restart")
	}
}
