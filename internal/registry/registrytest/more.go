package registrytest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
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
	_ = json.NewEncoder(w).Encode(map[string]any{"name": repository, "tags": tags})
}

// serveReferrers lists what refers to a manifest.
func (r *Registry) serveReferrers(w http.ResponseWriter, repository, digest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := []map[string]any{}
	for reference, m := range r.manifest[repository] {
		var doc struct {
			ArtifactType string `json:"artifactType"`
			Subject      *struct {
				Digest string `json:"digest"`
			} `json:"subject"`
		}
		if strings.Contains(reference, ":") && json.Unmarshal(m.data, &doc) == nil && doc.Subject != nil && doc.Subject.Digest == digest {
			list = append(list, map[string]any{"mediaType": m.mediaType, "digest": reference, "size": len(m.data), "artifactType": doc.ArtifactType})
		}
	}
	w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	_ = json.NewEncoder(w).Encode(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": list})
}

// Uploads counts the uploads that were begun and neither finished nor deleted.
func (r *Registry) Uploads() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.uploads)
}
