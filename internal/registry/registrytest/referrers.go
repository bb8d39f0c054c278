package registrytest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// serveReferrers lists the manifests with a subject (distribution spec, "Listing
// Referrers").
func (r *Registry) serveReferrers(w http.ResponseWriter, req *http.Request, repository, subject string) {
	type descriptor struct {
		MediaType    string `json:"mediaType"`
		Digest       string `json:"digest"`
		Size         int    `json:"size"`
		ArtifactType string `json:"artifactType,omitempty"`
	}
	listed := []descriptor{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for reference, m := range r.manifest[repository] {
		var doc struct {
			ArtifactType string `json:"artifactType"`
			Subject      struct {
				Digest string `json:"digest"`
			} `json:"subject"`
		}
		if strings.Contains(reference, ":") && json.Unmarshal(m.data, &doc) == nil && doc.Subject.Digest == subject {
			listed = append(listed, descriptor{m.mediaType, reference, len(m.data), doc.ArtifactType})
		}
	}
	slices.SortFunc(listed, func(a, b descriptor) int { return strings.Compare(a.Digest, b.Digest) })
	w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	if req.Method == http.MethodHead {
		return
	}
	_ = json.MarshalWrite(w, struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Manifests     []descriptor `json:"manifests"`
	}{2, "application/vnd.oci.image.index.v1+json", listed})
}
