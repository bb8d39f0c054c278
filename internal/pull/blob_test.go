package pull_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/internal/pull"
)

// tampered is a registry, with an image, that answers GETs of one blob or manifest
// in a way of its own.
type tampered struct {
	host   string
	digest string
	layers []v1.Descriptor
	config v1.Descriptor

	path   string
	answer func(w http.ResponseWriter, body []byte)
}

func startTampered(t *testing.T, image v1.Image) *tampered {
	t.Helper()
	s := &tampered{digest: digestOf(t, image)}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || s.path == "" || !strings.HasSuffix(r.URL.Path, s.path) {
			inner.ServeHTTP(w, r)
			return
		}
		right := httptest.NewRecorder()
		inner.ServeHTTP(right, r)
		s.answer(w, right.Body.Bytes())
	}))
	t.Cleanup(h.Close)
	s.host = strings.TrimPrefix(h.URL, "http://")
	ref, err := name.NewTag(s.host + "/library/base:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	s.layers, s.config = manifest.Layers, manifest.Config
	return s
}

func (s *tampered) request(mirrors ...string) pull.Request {
	return pull.Request{Registry: s.host, Repository: "library/base", Digest: s.digest, Mirrors: mirrors}
}

// pullWhole pulls the image with its layers into a folder.
func pullWhole(t *testing.T, request pull.Request) (dir string, written []pull.Written, err error) {
	t.Helper()
	dir = t.TempDir()
	images, err := pull.Pull(t.Context(), request)
	if err == nil {
		written, err = pull.Write(dir, images, true)
	}
	return dir, written, err
}

// answers are what a registry should not answer with, and what is then said of a
// blob of the size.
var answers = []struct {
	name   string
	answer func(w http.ResponseWriter, body []byte)
	says   func(size int64) string
}{
	{"a page", page, func(int64) string {
		return "answered with an HTML page: it may be a proxy or a login page instead of the registry"
	}},
	{"a byte too many", func(w http.ResponseWriter, body []byte) { stream(w, append(bytes.Clone(body), 0)) }, func(size int64) string {
		return fmt.Sprintf("it has more than the %d bytes that the manifest says", size)
	}},
	{"a byte too many, and says so", func(w http.ResponseWriter, body []byte) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)+1))
		_, _ = w.Write(append(bytes.Clone(body), 0))
	}, func(size int64) string {
		return fmt.Sprintf("it has more than the %d bytes that the manifest says", size)
	}},
	{"a byte too few", func(w http.ResponseWriter, body []byte) { stream(w, body[1:]) }, func(size int64) string {
		return fmt.Sprintf("%d of %d bytes arrived", size-1, size)
	}},
	{"nothing", func(http.ResponseWriter, []byte) {}, func(size int64) string { return fmt.Sprintf("0 of %d bytes arrived", size) }},
	{"a stream that breaks", func(w http.ResponseWriter, body []byte) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body[:500])
	}, func(size int64) string { return fmt.Sprintf("500 of %d bytes arrived: unexpected EOF", size) }},
	{"other bytes", func(w http.ResponseWriter, body []byte) {
		other := bytes.Clone(body)
		other[0]++
		stream(w, other)
	}, func(size int64) string {
		return fmt.Sprintf("%d of %d bytes arrived: error verifying sha256 checksum", size, size)
	}},
}

func page(w http.ResponseWriter, _ []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, "<!doctype html><title>Sign in</title>")
}

// stream answers without saying how much it will be.
func stream(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	_, _ = w.Write(body)
}

func TestALayerIsWhatTheManifestSaysOrNotThere(t *testing.T) {
	s := startTampered(t, imageFor(t, amd64))
	bad := s.layers[1]
	for _, row := range answers {
		t.Run(row.name, func(t *testing.T) {
			s.path, s.answer = "/blobs/"+bad.Digest.String(), row.answer
			dir, _, err := pullWhole(t, s.request())
			if err == nil {
				t.Fatal("the layer is taken")
			}
			for _, want := range []string{"fetch layer " + bad.Digest.String() + ": from " + s.host + "/library/base: ", row.says(bad.Size)} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error is %v, want it to contain\n%s", err, want)
				}
			}
			left, err := filepath.Glob(filepath.Join(dir, "linux_amd64", "*"))
			if err != nil {
				t.Fatal(err)
			}
			hidden, err := filepath.Glob(filepath.Join(dir, "linux_amd64", ".*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range append(left, hidden...) {
				if strings.Contains(file, "blob") && filepath.Base(file) != "0.blob" {
					t.Errorf("%s is left behind", file)
				}
			}
		})
	}
}

func TestMetadataThatAreNotWhatWasAskedForAreNamed(t *testing.T) {
	s := startTampered(t, imageFor(t, amd64))
	for _, path := range []string{"/manifests/" + s.digest, "/blobs/" + s.config.Digest.String()} {
		for _, row := range answers {
			if strings.HasPrefix(path, "/blobs/") && row.name == "a byte too many" {
				continue // what comes is right, and the rest is not read
			}
			t.Run(row.name, func(t *testing.T) {
				s.path, s.answer = path, row.answer
				_, _, err := pullWhole(t, s.request())
				if err == nil || !strings.Contains(err.Error(), "pull "+s.host+"/library/base: ") {
					t.Fatalf("error is %v, want it to name the repository", err)
				}
				if row.name == "a page" && !strings.Contains(err.Error(), "answered with an HTML page") {
					t.Errorf("error is %v, want it to speak of the page", err)
				}
			})
		}
	}
}

func TestALayerThatAMirrorHasWrongComesFromTheRegistry(t *testing.T) {
	image := imageFor(t, amd64)
	mirror, origin := startTampered(t, image), startTampered(t, image)
	mirror.path, mirror.answer = "/blobs/"+mirror.layers[0].Digest.String(), page
	dir, written, err := pullWhole(t, origin.request(mirror.host))
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range written[0].Blobs {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != origin.layers[i].Size || info.Mode().Perm() != 0o644 {
			t.Errorf("%s has %d bytes and the mode %v", file, info.Size(), info.Mode())
		}
	}
}
