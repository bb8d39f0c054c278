package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/clock"
	"github.com/drayage/drayage/internal/load"
	"github.com/drayage/drayage/pushspec"
)

// layerStore is a remote cache whose reads the test looks at, and may spoil.
type layerStore struct {
	blobs map[string][]byte
	// before, if set, is called before each read, and answers in its place if it
	// returns something.
	before func(digest string, offset int64) (io.ReadCloser, error)

	mu sync.Mutex
	// read are the offsets from which each blob was read.
	read map[string][]int64
}

func (s *layerStore) Stream(_ context.Context, blob cas.Blob, offset int64) (io.ReadCloser, error) {
	s.mu.Lock()
	s.read[blob.String()] = append(s.read[blob.String()], offset)
	s.mu.Unlock()
	if s.before != nil {
		if r, err := s.before(blob.String(), offset); r != nil || err != nil {
			return r, err
		}
	}
	return io.NopCloser(bytes.NewReader(s.blobs[blob.String()][offset:])), nil
}

func (s *layerStore) reads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, offsets := range s.read {
		n += len(offsets)
	}
	return n
}

// loadScene is an image with layers of two and a half messages, and its store.
func loadScene(t *testing.T) (*load.Image, *layerStore) {
	t.Helper()
	return loadable(t, loadedImage(t))
}

func loadedImage(t *testing.T) v1.Image {
	t.Helper()
	i, err := random.Image(5<<19, 3)
	check(t, err)
	config, err := i.ConfigFile()
	check(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	i, err = mutate.ConfigFile(i, config)
	check(t, err)
	return i
}

func loadable(t *testing.T, i v1.Image) (*load.Image, *layerStore) {
	t.Helper()
	spec, store := specOf(t, i)
	image, err := load.Select(spec, "")
	check(t, err)
	return image, store
}

// specOf is the push spec of an image, and the remote cache with its layers.
func specOf(t *testing.T, i v1.Image) (*pushspec.Spec, *layerStore) {
	t.Helper()
	store := &layerStore{blobs: map[string][]byte{}, read: map[string][]int64{}}
	spec := &pushspec.Spec{
		SchemaVersion: 1, MediaType: pushspec.MediaType, Target: "//app:load",
		Destination: pushspec.Destination{Registry: "docker.io", Repository: "library/app", Tags: []string{"dev"}},
	}
	manifest, err := i.Manifest()
	check(t, err)
	config := pushspec.Blob{Descriptor: manifest.Config}
	config.Data, err = i.RawConfigFile()
	check(t, err)
	spec.Blobs = append(spec.Blobs, config)
	layers, err := i.Layers()
	check(t, err)
	for n, layer := range layers {
		digest := manifest.Layers[n].Digest.String()
		r, err := layer.Compressed()
		check(t, err)
		store.blobs[digest], err = io.ReadAll(r)
		check(t, err)
		spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: manifest.Layers[n], Sources: []pushspec.Source{{CAS: digest}}})
	}
	root := v1.Descriptor{MediaType: manifest.MediaType}
	root.Data, err = i.RawManifest()
	check(t, err)
	root.Size = int64(len(root.Data))
	root.Digest, err = i.Digest()
	check(t, err)
	spec.Root = root.Digest
	spec.Manifests = []v1.Descriptor{root}
	check(t, spec.Validate())
	return spec, store
}

const loadedName = "docker.io/library/app:dev"

// loadInto loads an image into a namespace of containerd.
func loadInto(t *testing.T, c *rig.Containerd, i *load.Image, from *layerStore, options ...func(*load.Options)) (load.Result, error) {
	t.Helper()
	o := load.Options{Address: c.Address, Namespace: c.Namespace}
	for _, option := range options {
		option(&o)
	}
	client, err := load.DialContainerd(o)
	if err != nil {
		return load.Result{}, err
	}
	defer client.Close()
	return client.Load(t.Context(), i, []string{loadedName}, load.Sources{CAS: from})
}

// theLayer is one layer's digest, and its bytes.
func theLayer(i *load.Image, s *layerStore) (digest string, data []byte) {
	digest = i.Platforms[0].Layers[1].Digest.String()
	return digest, s.blobs[digest]
}

func TestALoadOfWrongBytesKeepsNoneOfThem(t *testing.T) {
	t.Parallel()
	containerd := rig.StartContainerd(t)
	i, store := loadScene(t)
	digest, data := theLayer(i, store)
	data[1000] ^= 1
	_, err := loadInto(t, containerd, i, store)
	if err == nil || !strings.Contains(err.Error(), "layer "+digest) || !strings.Contains(err.Error(), "its source delivered other content") {
		t.Errorf("error %v", err)
	}
	if slices.Contains(containerd.Content(t), digest) || containerd.Ingests(t)["layer-"+digest] != 0 || containerd.Image(t, loadedName) != "" {
		t.Errorf("content %v, ingests %v", containerd.Content(t), containerd.Ingests(t))
	}
	data[1000] ^= 1
	result, err := loadInto(t, containerd, i, store)
	check(t, err)
	// What had come the first time is there.
	if result.There.Blobs == 0 || result.Unpacked == "" {
		t.Errorf("the second load: %+v", result)
	}
	checkStored(t, containerd, containerd.Image(t, loadedName))
}

func TestALoadThatBrokeOffGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	containerd := rig.StartContainerd(t)
	i, store := loadScene(t)
	digest, data := theLayer(i, store)
	const broken = 3 << 19
	store.before = func(asked string, _ int64) (io.ReadCloser, error) {
		if asked != digest {
			return nil, nil
		}
		return io.NopCloser(io.MultiReader(bytes.NewReader(data[:broken]), failing{})), nil
	}
	_, err := loadInto(t, containerd, i, store)
	if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "layer "+digest) {
		t.Errorf("error %v", err)
	}
	// The collector is asked, and leaves what came alone.
	collect(t, containerd)
	if at := containerd.Ingests(t)["layer-"+digest]; at != broken {
		t.Errorf("%d bytes of the layer are there, want %d", at, broken)
	}
	store.before = nil
	_, err = loadInto(t, containerd, i, store)
	check(t, err)
	if want := []int64{0, broken}; !slices.Equal(store.read[digest], want) {
		t.Errorf("the layer was read from %v, want %v", store.read[digest], want)
	}
	checkStored(t, containerd, containerd.Image(t, loadedName))
}

func TestALoadThatBrokeOffAmongWrongBytesBeginsAgain(t *testing.T) {
	t.Parallel()
	containerd := rig.StartContainerd(t)
	i, store := loadScene(t)
	digest, data := theLayer(i, store)
	store.before = func(asked string, _ int64) (io.ReadCloser, error) {
		if asked != digest {
			return nil, nil
		}
		return io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("wrong", 1<<18)), failing{})), nil
	}
	if _, err := loadInto(t, containerd, i, store); !errors.Is(err, errBroken) {
		t.Errorf("error %v", err)
	}
	store.before = nil
	_, err := loadInto(t, containerd, i, store)
	check(t, err)
	if n := len(store.read[digest]); n != 3 || store.read[digest][2] != 0 {
		t.Errorf("the layer of %d bytes was read from %v", len(data), store.read[digest])
	}
	checkStored(t, containerd, containerd.Image(t, loadedName))
}

// collect has containerd's collector run: that is what the removal of a name
// asks for.
func collect(t *testing.T, c *rig.Containerd) {
	t.Helper()
	i, store := loadScene(t)
	client, err := load.DialContainerd(load.Options{Address: c.Address, Namespace: c.Namespace})
	check(t, err)
	defer client.Close()
	const name = "docker.io/library/other:latest"
	_, err = client.Load(t.Context(), i, []string{name}, load.Sources{CAS: store})
	check(t, err)
	c.RemoveImage(t, name)
	if left := c.Content(t); slices.Contains(left, i.Root.Digest.String()) {
		t.Error("the collector did not run")
	}
}

// held is a load that stands still before it reads a layer.
type held struct {
	reached, proceed chan struct{}
	done             chan error
}

// loadUntil starts a load that stands still before it reads a layer for the
// first time.
func loadUntil(t *testing.T, c *rig.Containerd, i *load.Image, from *layerStore, digest string) *held {
	t.Helper()
	h := &held{reached: make(chan struct{}), proceed: make(chan struct{}), done: make(chan error, 1)}
	var once sync.Once
	from.before = func(asked string, _ int64) (io.ReadCloser, error) {
		if asked == digest {
			once.Do(func() {
				close(h.reached)
				<-h.proceed
			})
		}
		return nil, nil
	}
	go func() {
		_, err := loadInto(t, c, i, from)
		h.done <- err
	}()
	<-h.reached
	return h
}

func (h *held) finish() error {
	close(h.proceed)
	return <-h.done
}

func TestWhatIsBeingLoadedIsNotCollected(t *testing.T) {
	t.Parallel()
	containerd := rig.StartContainerd(t)
	i, store := loadScene(t)
	h := loadUntil(t, containerd, i, store, i.Platforms[0].Layers[2].Digest.String())
	rig.WaitFor(t, time.Minute, "the other layers", func() error {
		for _, layer := range i.Platforms[0].Layers[:2] {
			if !slices.Contains(containerd.Content(t), layer.Digest.String()) {
				return errors.New("one is not there")
			}
		}
		return nil
	})
	// Nothing refers to them yet.
	collect(t, containerd)
	check(t, h.finish())
	checkStored(t, containerd, containerd.Image(t, loadedName))
	if n := store.reads(); n != 3 {
		t.Errorf("%d reads of 3 layers", n)
	}
}

func TestWhatAnotherNamespaceHasDoesNotMove(t *testing.T) {
	t.Parallel()
	containerd := rig.StartContainerd(t)
	i, store := loadScene(t)
	_, err := loadInto(t, containerd, i, store)
	check(t, err)
	result, err := loadInto(t, containerd.In("other"), i, store)
	check(t, err)
	if n := store.reads(); n != 3 || result.Moved.Blobs != 0 {
		t.Errorf("%d reads of 3 layers; the second load: %+v", n, result)
	}
	checkStored(t, containerd.In("other"), containerd.In("other").Image(t, loadedName))
}

func TestTwoLoadsAtTheSameTimeMoveALayerOnce(t *testing.T) {
	t.Parallel()
	containerd := rig.StartContainerd(t)
	i, store := loadScene(t)
	digest, _ := theLayer(i, store)
	first := loadUntil(t, containerd, i, store, digest)
	// The second finds the layer locked, and waits.
	waits, second := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		_, err := loadInto(t, containerd, i, store, func(o *load.Options) {
			o.Wait = func(ctx context.Context, _ time.Duration) error {
				once.Do(func() { close(waits) })
				return clock.Wait(ctx, time.Millisecond)
			}
		})
		second <- err
	}()
	select {
	case <-waits:
	case err := <-second:
		t.Fatalf("the second load did not wait: %v", err)
	}
	check(t, first.finish())
	check(t, <-second)
	if n := len(store.read[digest]); n != 1 {
		t.Errorf("the layer was read %d times", n)
	}
	checkStored(t, containerd, containerd.Image(t, loadedName))
}

func TestAnImageWhoseConfigNamesOtherLayersIsRefused(t *testing.T) {
	t.Parallel()
	containerd := rig.StartContainerd(t)
	image, err := random.Image(1000, 1)
	check(t, err)
	config, err := image.ConfigFile()
	check(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.RootFS.DiffIDs[0].Hex = strings.Repeat("0", 64)
	image, err = mutate.ConfigFile(image, config)
	check(t, err)
	i, store := loadable(t, image)
	if _, err := loadInto(t, containerd, i, store); err == nil || !strings.Contains(err.Error(), "but the image's config says sha256:0000") {
		t.Errorf("error %v", err)
	}
	if containerd.Image(t, loadedName) != "" {
		t.Error("it got its name")
	}
}

func TestAnImageThatCannotBeUnpackedIsLoadedAllTheSame(t *testing.T) {
	t.Parallel()
	containerd := rig.StartContainerd(t)
	i, store := loadScene(t)
	result, err := loadInto(t, containerd, i, store, func(o *load.Options) { o.Snapshotter = "stargz" })
	check(t, err)
	if result.Unpacked != "" || !strings.Contains(result.NotUnpacked, "stargz") {
		t.Errorf("%+v", result)
	}
	checkStored(t, containerd, containerd.Image(t, loadedName))
}

func TestASocketThatNobodyListensOnIsNamed(t *testing.T) {
	t.Parallel()
	i, store := loadScene(t)
	nobody := &rig.Containerd{Address: filepath.Join(t.TempDir(), "containerd.sock"), Namespace: "default"}
	_, err := loadInto(t, nobody, i, store)
	if err == nil || !strings.Contains(err.Error(), "containerd at "+nobody.Address) || !strings.Contains(err.Error(), "check that containerd runs, that --address is its socket") {
		t.Errorf("error %v", err)
	}
}

var errBroken = errors.New("the line is broken")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errBroken }
