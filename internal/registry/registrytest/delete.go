package registrytest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

func deleted(w http.ResponseWriter, rules Rules) {
	if !rules.Deletes {
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "nothing is deleted here")
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// deleteManifest removes a tag, or a manifest with all its tags.
func (r *Registry) deleteManifest(repository, reference string) {
	if !strings.Contains(reference, ":") {
		delete(r.manifest[repository], reference)
		return
	}
	for name, m := range r.manifest[repository] {
		if digestOf(m.data) == reference {
			delete(r.manifest[repository], name)
		}
	}
}

func (r *Registry) serveTags(w http.ResponseWriter, repository string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tags := []string{}
	for reference := range r.manifest[repository] {
		if !strings.Contains(reference, ":") {
			tags = append(tags, reference)
		}
	}
	slices.Sort(tags)
	w.Header().Set("Content-Type", "application/json")
	_ = json.MarshalWrite(w, struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{repository, tags})
}

// Holds counts what is there: blobs, manifests with their tags, and uploads that were
// begun and neither finished nor deleted.
func (r *Registry) Holds() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.uploads)
	for _, blobs := range r.blobs {
		n += len(blobs)
	}
	for _, manifests := range r.manifest {
		n += len(manifests)
	}
	return n
}
