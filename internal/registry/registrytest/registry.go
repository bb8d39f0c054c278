// Package registrytest is an OCI registry in memory, for tests: it checks what
// is written to it as a strict registry does, counts, and can be made to
// misbehave.
package registrytest

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Registry is a registry on a loopback port.
type Registry struct {
	// Host is its host and port.
	Host string

	mu       sync.Mutex
	rules    Rules
	blobs    map[string]map[string][]byte // by repository and digest
	manifest map[string]map[string]stored // by repository, and digest or tag
	uploads  map[string]*upload
	next     int
	tokens   map[string]grant
	requests map[string]int
	received map[string]int64
	issued   int
}

type stored struct {
	mediaType string
	data      []byte
}

type upload struct {
	repository string
	data       []byte
}

type grant struct {
	scopes  string
	expires time.Time
}

// Rules are how a [Registry] behaves. The zero value needs no authentication,
// mounts, resumes uploads, and knows nothing newer than version 1.0 of the
// distribution spec.
type Rules struct {
	// NoMount never grants a mount.
	NoMount bool
	// NoResume forgets an upload that breaks.
	NoResume bool
	// MultiTag takes several tags in one request.
	MultiTag bool
	// Referrers keeps track of subjects.
	Referrers bool
	// MaxChunk refuses a larger PATCH, and any PUT with more than that.
	MaxChunk int64
	// ImmutableTags refuses to write a tag that is there.
	ImmutableTags bool
	// ForeignLayers takes manifests whose layers are not to be distributed and have
	// urls, without these layers.
	ForeignLayers bool
	// UploadHost is put into the locations of uploads in the place of its own.
	UploadHost string

	// User and Password, where set, are asked for. With a TokenLife they buy
	// bearer tokens of that life, without one they are sent along.
	User, Password string
	TokenLife      time.Duration
	// Now is the clock for tokens. Defaults to the real one.
	Now func() time.Time

	// Fault, where it is set, is asked before each request, token requests apart.
	Fault func(r *http.Request) *Fault
}

// Fault is what goes wrong with one request.
type Fault struct {
	// Status is answered, with Header; the request's body is not read. Zero means
	// that no answer is given: the connection is cut.
	Status int
	Header http.Header
	// Code is the answer's error code. Defaults to "FAULT".
	Code string
	// After is how many bytes of the body are taken before that.
	After int64
	// Answer, where it is set, is after how many bytes of an answer that is
	// otherwise right the connection is cut.
	Answer int64
}

// Start runs a registry until the test ends.
func Start(t testing.TB, rules Rules) *Registry {
	t.Helper()
	r := &Registry{
		rules: rules, blobs: map[string]map[string][]byte{}, manifest: map[string]map[string]stored{},
		uploads: map[string]*upload{}, tokens: map[string]grant{}, requests: map[string]int{}, received: map[string]int64{},
	}
	server := httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	r.Host = strings.TrimPrefix(server.URL, "http://")
	return r
}

// SetRules changes the behaviour from the next request on.
func (r *Registry) SetRules(rules Rules) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rules = rules
}

// Requests counts the requests by kind: "HEAD manifests", "POST uploads".
func (r *Registry) Requests() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.requests)
}

// Total counts all requests, those for tokens apart.
func (r *Registry) Total() int {
	n := 0
	for _, count := range r.Requests() {
		n += count
	}
	return n
}

// Tokens counts the tokens that were issued.
func (r *Registry) Tokens() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.issued
}

// Received counts the bytes taken for the uploads of each digest, with those
// that were sent again; uploads that were never finished are under "".
func (r *Registry) Received() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.received)
}

// PutBlob stores a blob in a repository.
func (r *Registry) PutBlob(repository string, data []byte) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.putBlob(repository, data)
}

// PutBlobAs stores bytes under a digest that is not theirs.
func (r *Registry) PutBlobAs(repository, digest string, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.putBlob(repository, nil)
	r.blobs[repository][digest] = data
}

func (r *Registry) putBlob(repository string, data []byte) string {
	if r.blobs[repository] == nil {
		r.blobs[repository] = map[string][]byte{}
	}
	digest := digestOf(data)
	r.blobs[repository][digest] = data
	return digest
}

// PutManifest stores a manifest under its digest and a tag, as another client does.
func (r *Registry) PutManifest(repository, tag, mediaType string, data []byte) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.manifest[repository] == nil {
		r.manifest[repository] = map[string]stored{}
	}
	digest := digestOf(data)
	r.manifest[repository][digest] = stored{mediaType, data}
	r.manifest[repository][tag] = stored{mediaType, data}
	return digest
}

// Forget removes a blob or a manifest from a repository, as a registry's garbage
// collection does.
func (r *Registry) Forget(repository, digest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.blobs[repository], digest)
	delete(r.manifest[repository], digest)
}

// Manifest is what a repository has under a digest or a tag.
func (r *Registry) Manifest(repository, reference string) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, found := r.manifest[repository][reference]
	return m.data, found
}

// HasBlob tells whether a repository has a blob.
func (r *Registry) HasBlob(repository, digest string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, found := r.blobs[repository][digest]
	return found
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
