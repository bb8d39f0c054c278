package casregistry_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/casregistry"
)

const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
)

// served is a registry that is served.
type served struct {
	registry     *casregistry.Registry
	host, folder string
}

func serve(t *testing.T, folder string, blobs casregistry.CAS, change func(*casregistry.Options)) served {
	t.Helper()
	options := casregistry.Options{Folder: folder, CAS: blobs, Logger: zerolog.Nop()}
	if change != nil {
		change(&options)
	}
	registry, err := casregistry.New(options)
	check(t, err)
	server := httptest.NewServer(registry)
	t.Cleanup(server.Close)
	return served{registry, strings.TrimPrefix(server.URL, "http://"), folder}
}

func (s served) repository(t *testing.T, path string) name.Repository {
	t.Helper()
	repository, err := name.NewRepository(s.host + "/" + path)
	check(t, err)
	return repository
}

// request is one request below /v2.
type request struct {
	client, method, path, body, mediaType string
	// stream is a body that does not say how long it is.
	stream io.Reader
	header map[string]string
}

// answer has the body as a text.
type answer struct {
	*http.Response
	body string
}

// do makes a request, which must be answered with a status, if that is not 0.
func (s served) do(t *testing.T, r request, want int) answer {
	t.Helper()
	var body io.Reader = strings.NewReader(r.body)
	if r.stream != nil {
		body = io.MultiReader(r.stream)
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, "http://"+s.host+"/v2"+r.path, body)
	check(t, err)
	if r.mediaType != "" {
		req.Header.Set("Content-Type", r.mediaType)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	response, err := client(r.client).RoundTrip(req)
	check(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	check(t, err)
	if want != 0 && response.StatusCode != want {
		t.Errorf("%s %s of %q: %s, want %d\n%s", r.method, r.path, r.client, response.Status, want, text)
	}
	return answer{response, string(text)}
}

// client is the transport of one client.
type client string

func (c client) RoundTrip(req *http.Request) (*http.Response, error) {
	if c != "" {
		req.Header.Set("X-Client", string(c))
	}
	return http.DefaultTransport.RoundTrip(req)
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// manifest has one layer, which is its config too.
func manifest(layer string) string {
	blob := fmt.Sprintf(`{"mediaType":"application/octet-stream","digest":%q,"size":%d}`, digestOf(layer), len(layer))
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, ociManifest, blob, blob)
}
