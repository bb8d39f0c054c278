package pull_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/internal/pull"
)

// server is a registry that remembers what it was asked for.
type server struct {
	host string

	mu       sync.Mutex
	requests []string
}

func start(t *testing.T) *server {
	t.Helper()
	s := &server{}
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	s.host = strings.TrimPrefix(h.URL, "http://")
	return s
}

// asked is what was asked for so far, and forgets it.
func (s *server) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := s.requests
	s.requests = nil
	return requests
}

func (s *server) reference(t *testing.T) name.Tag {
	t.Helper()
	ref, err := name.NewTag(s.host + "/library/base:1")
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func imageFor(t *testing.T, platform v1.Platform) v1.Image {
	t.Helper()
	image, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	return image
}

func pushImage(t *testing.T, s *server) v1.Image {
	t.Helper()
	image := imageFor(t, v1.Platform{OS: "linux", Architecture: "amd64"})
	if err := remote.Write(s.reference(t), image); err != nil {
		t.Fatal(err)
	}
	s.asked()
	return image
}

var (
	amd64       = v1.Platform{OS: "linux", Architecture: "amd64"}
	arm64       = v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	attestation = v1.Platform{OS: "unknown", Architecture: "unknown"}
)

func pushIndex(t *testing.T, s *server) v1.ImageIndex {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for _, platform := range []v1.Platform{amd64, arm64, attestation} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: imageFor(t, platform), Descriptor: v1.Descriptor{Platform: &platform},
		})
	}
	if err := remote.WriteIndex(s.reference(t), index); err != nil {
		t.Fatal(err)
	}
	s.asked()
	return index
}

func digestOf(t *testing.T, of interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	digest, err := of.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func (s *server) request(digest string, platforms ...string) pull.Request {
	return pull.Request{Registry: s.host, Repository: "library/base", Tag: "1", Digest: digest, Platforms: platforms}
}

func names(images []pull.Image) []string {
	var names []string
	for _, i := range images {
		names = append(names, i.Name())
	}
	return names
}
