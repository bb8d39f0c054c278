package casregistry_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/casregistry"
)

// fakeCAS holds blobs by their hex digest.
type fakeCAS struct {
	mu    sync.Mutex
	blobs map[string][]byte
	down  error
}

func (f *fakeCAS) Stream(_ context.Context, blob cas.Blob, offset int64) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, found := f.blobs[blob.Hash]
	if f.down != nil || !found {
		return nil, errors.Join(f.down, &cas.NotFoundError{Digest: blob.Digest})
	}
	return io.NopCloser(bytes.NewReader(data[offset:])), nil
}

func (f *fakeCAS) FindMissing(_ context.Context, _ string, digests []cas.Digest) ([]cas.Digest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var missing []cas.Digest
	for _, d := range digests {
		if data, found := f.blobs[d.Hash]; !found || int64(len(data)) != d.Size {
			missing = append(missing, d)
		}
	}
	return missing, f.down
}

func (f *fakeCAS) set(blobs map[string][]byte, down error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blobs, f.down = blobs, down
}

// start serves a registry, and gives what is needed to talk to it.
func start(t *testing.T, folder string, blobs *fakeCAS) name.Repository {
	t.Helper()
	registry, err := casregistry.New(casregistry.Options{Folder: folder, CAS: blobs, Logger: zerolog.Nop()})
	check(t, err)
	server := httptest.NewServer(registry)
	t.Cleanup(server.Close)
	repository, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/acme/blobs/app")
	check(t, err)
	return repository
}

// cached is an image whose layers are in the cache.
func cached(t *testing.T) (v1.Image, *fakeCAS) {
	t.Helper()
	image, err := random.Image(100_000, 3)
	check(t, err)
	layers, err := image.Layers()
	check(t, err)
	blobs := &fakeCAS{blobs: map[string][]byte{}}
	for _, layer := range layers {
		digest, err := layer.Digest()
		check(t, err)
		stream, err := layer.Compressed()
		check(t, err)
		if blobs.blobs[digest.Hex], err = io.ReadAll(stream); err != nil {
			t.Fatal(err)
		}
	}
	return image, blobs
}

// pushWithoutLayers sends the config and the manifest alone.
func pushWithoutLayers(t *testing.T, to name.Tag, image v1.Image) error {
	t.Helper()
	config, err := image.RawConfigFile()
	check(t, err)
	digest, err := image.ConfigName()
	check(t, err)
	do(t, http.MethodPost, "http://"+to.RegistryStr()+"/v2/"+to.RepositoryStr()+"/blobs/uploads/?digest="+digest.String(), bytes.NewReader(config), http.StatusCreated)
	return remote.Put(to, image)
}

func TestAnImageWhoseLayersTheCacheHasIsPulledWhole(t *testing.T) {
	image, blobs := cached(t)
	folder := t.TempDir()
	tag := start(t, folder, blobs).Tag("latest")
	check(t, pushWithoutLayers(t, tag, image))
	pulled, err := remote.Image(tag)
	check(t, err)
	check(t, validate.Image(pulled))

	// A registry that was restarted has it still.
	tag = start(t, folder, blobs).Tag("latest")
	pulled, err = remote.Image(tag)
	check(t, err)
	check(t, validate.Image(pulled))
	tags, err := remote.List(tag.Repository)
	check(t, err)
	if diff := cmp.Diff([]string{"latest"}, tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func TestALayerThatIsNowhereIsNamed(t *testing.T) {
	image, blobs := cached(t)
	layers, err := image.Layers()
	check(t, err)
	gone, err := layers[1].Digest()
	check(t, err)
	tag := start(t, t.TempDir(), blobs).Tag("latest")
	whole := blobs.blobs
	blobs.set(without(whole, gone.Hex), nil)
	err = pushWithoutLayers(t, tag, image)
	if err == nil || !strings.Contains(err.Error(), "MANIFEST_BLOB_UNKNOWN") || !strings.Contains(err.Error(), gone.String()) {
		t.Errorf("the error is %v", err)
	}
	if _, err := remote.Head(tag); err == nil {
		t.Error("the manifest is there all the same")
	}

	// One that the cache evicts later is not there any more, and comes back with it.
	blobs.set(whole, nil)
	check(t, pushWithoutLayers(t, tag, image))
	blobs.set(without(whole, gone.Hex), nil)
	do(t, http.MethodHead, blobURL(tag, gone), nil, http.StatusNotFound)
	do(t, http.MethodGet, blobURL(tag, gone), nil, http.StatusNotFound)
	blobs.set(whole, nil)
	do(t, http.MethodHead, blobURL(tag, gone), nil, http.StatusOK)

	// A cache that cannot be asked is no reason to say that it is gone.
	blobs.set(whole, errors.New("no route"))
	do(t, http.MethodHead, blobURL(tag, gone), nil, http.StatusServiceUnavailable)
}

func TestWhoeverHasNoCachePushesLikeToAnyRegistry(t *testing.T) {
	tag := start(t, t.TempDir(), &fakeCAS{}).Tag("latest")
	index, err := random.Index(10_000, 2, 2)
	check(t, err)
	check(t, remote.WriteIndex(tag, index))
	pulled, err := remote.Index(tag)
	check(t, err)
	check(t, validate.Index(pulled))
	check(t, remote.Delete(tag))
	if _, err := remote.Head(tag); err == nil {
		t.Error("the tag is there after it was deleted")
	}
}

func TestALayerIsReadFromTheMiddle(t *testing.T) {
	image, blobs := cached(t)
	tag := start(t, t.TempDir(), blobs).Tag("latest")
	check(t, pushWithoutLayers(t, tag, image))
	layers, err := image.Layers()
	check(t, err)
	digest, err := layers[0].Digest()
	check(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, blobURL(tag, digest), nil)
	check(t, err)
	req.Header.Set("Range", "bytes=1000-")
	resp, err := http.DefaultClient.Do(req)
	check(t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	check(t, err)
	if resp.StatusCode != http.StatusPartialContent || !bytes.Equal(got, blobs.blobs[digest.Hex][1000:]) {
		t.Errorf("status %d, %d bytes", resp.StatusCode, len(got))
	}
}

func TestWhatIsWrongIsRefused(t *testing.T) {
	repository := start(t, t.TempDir(), &fakeCAS{})
	base := "http://" + repository.RegistryStr() + "/v2/" + repository.RepositoryStr()
	digest := "sha256:" + strings.Repeat("a", 64)
	for name, c := range map[string]struct {
		method, url, body string
		want              int
	}{
		"bytes of another digest":          {http.MethodPost, base + "/blobs/uploads/?digest=" + digest, "x", http.StatusBadRequest},
		"a digest that is none":            {http.MethodGet, base + "/blobs/sha256:..%2F..%2Fx", "", http.StatusNotFound},
		"an upload that nobody began":      {http.MethodPatch, base + "/blobs/uploads/" + strings.Repeat("A", 26), "x", http.StatusNotFound},
		"a manifest that is none":          {http.MethodPut, base + "/manifests/latest", "x", http.StatusBadRequest},
		"a manifest of another digest":     {http.MethodPut, base + "/manifests/" + digest, "{}", http.StatusBadRequest},
		"a manifest too large":             {http.MethodPut, base + "/manifests/latest", strings.Repeat(" ", 5<<20), http.StatusRequestEntityTooLarge},
		"a repository that climbs":         {http.MethodGet, "http://" + repository.RegistryStr() + "/v2/..%2Fx/manifests/latest", "", http.StatusBadRequest},
		"an index of what is not there":    {http.MethodPut, base + "/manifests/latest", `{"manifests":[{"mediaType":"` + string(types.OCIManifestSchema1) + `","digest":"` + digest + `","size":1}]}`, http.StatusBadRequest},
		"a repository that does not exist": {http.MethodGet, base + "/tags/list", "", http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) { do(t, c.method, c.url, strings.NewReader(c.body), c.want) })
	}
}

func without(blobs map[string][]byte, hex string) map[string][]byte {
	left := map[string][]byte{}
	for k, v := range blobs {
		if k != hex {
			left[k] = v
		}
	}
	return left
}

func blobURL(tag name.Tag, digest v1.Hash) string {
	return "http://" + tag.RegistryStr() + "/v2/" + tag.RepositoryStr() + "/blobs/" + digest.String()
}

// do makes a request, which must be answered with a status.
func do(t *testing.T, method, url string, body io.Reader, want int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	check(t, err)
	resp, err := http.DefaultClient.Do(req)
	check(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != want {
		text, _ := io.ReadAll(resp.Body)
		t.Errorf("%s %s: %s, want %d\n%s", method, url, resp.Status, want, text)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
