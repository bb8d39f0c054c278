package casregistry_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// A folder from before repositories knew their blobs is taken over.
func TestTheImagesOfAnOldFolderAreServed(t *testing.T) {
	image, blobs := cached(t)
	folder := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		name = filepath.Join(folder, name)
		check(t, os.MkdirAll(filepath.Dir(name), 0o750))
		check(t, os.WriteFile(name, []byte(text), 0o600))
	}
	config, err := image.RawConfigFile()
	check(t, err)
	configDigest, err := image.ConfigName()
	check(t, err)
	manifest, err := image.RawManifest()
	check(t, err)
	digest, err := image.Digest()
	check(t, err)
	mediaType, err := image.MediaType()
	check(t, err)
	put("blobs/"+configDigest.Hex, string(config))
	put("blobs/"+digest.Hex, string(manifest))
	put("blobs/"+strings.Repeat("0", 64), "of nobody's")
	put("repositories/acme/blobs/app/_manifests/"+digest.Hex, string(mediaType))
	put("repositories/acme/blobs/app/_tags/v1", digest.String())
	for hex, data := range blobs.blobs {
		put("layers/"+hex, strconv.Itoa(len(data)))
	}
	for range 2 {
		s := serve(t, folder, blobs, nil)
		pulled, err := remote.Image(s.repository(t, "acme/blobs/app").Tag("v1"))
		check(t, err)
		check(t, validate.Image(pulled))
		s.do(t, request{method: http.MethodGet, path: "/acme/blobs/app/blobs/sha256:" + strings.Repeat("0", 64)}, http.StatusNotFound)
		s.do(t, request{method: http.MethodGet, path: "/another/blobs/" + configDigest.String()}, http.StatusNotFound)
	}
	if _, err := os.Stat(filepath.Join(folder, "layers")); err == nil {
		t.Error("the folder is taken over each time")
	}
}
