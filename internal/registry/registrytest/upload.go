package registrytest

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
)

func (r *Registry) serveUpload(w http.ResponseWriter, req *http.Request, rules Rules, repository, id string) {
	if req.Method == http.MethodPost {
		r.beginUpload(w, req, rules, repository)
		return
	}
	r.mu.Lock()
	u := r.uploads[id]
	r.mu.Unlock()
	if u == nil || u.repository != repository {
		refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "no such upload")
		return
	}
	switch req.Method {
	case http.MethodDelete:
		deleted(w, rules)
		if rules.Deletes {
			r.mu.Lock()
			delete(r.uploads, id)
			r.mu.Unlock()
		}
	case http.MethodGet:
		if rules.NoResume {
			refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "uploads cannot be resumed")
			return
		}
		r.locate(w, req, rules, repository, id)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPatch:
		if r.take(w, req, rules, u) {
			r.locate(w, req, rules, repository, id)
			w.WriteHeader(http.StatusAccepted)
		}
	case http.MethodPut:
		if !r.take(w, req, rules, u) {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		digest := req.URL.Query().Get("digest")
		r.received[digest] += int64(len(u.data))
		delete(r.uploads, id)
		if digestOf(u.data) != digest {
			refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "the bytes have another digest")
			return
		}
		r.putBlob(repository, u.data)
		w.Header().Set("Location", "/v2/"+repository+"/blobs/"+digest)
		w.WriteHeader(http.StatusCreated)
	default:
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "no such method here")
	}
}

func (r *Registry) beginUpload(w http.ResponseWriter, req *http.Request, rules Rules, repository string) {
	r.mu.Lock()
	query := req.URL.Query()
	digest, from := query.Get("mount"), query.Get("from")
	if data, found := r.blobs[from][digest]; found && !rules.NoMount {
		r.putBlob(repository, data)
		r.mu.Unlock()
		w.Header().Set("Location", "/v2/"+repository+"/blobs/"+digest)
		w.WriteHeader(http.StatusCreated)
		return
	}
	r.next++
	id := strconv.Itoa(r.next)
	r.uploads[id] = &upload{repository: repository}
	r.mu.Unlock()
	r.locate(w, req, rules, repository, id)
	w.WriteHeader(http.StatusAccepted)
}

// locate tells where an upload goes on, and how far it has got. The state in the
// address changes with every byte, as distribution's does.
func (r *Registry) locate(w http.ResponseWriter, req *http.Request, rules Rules, repository, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	host := req.Host
	if rules.UploadHost != "" {
		host = rules.UploadHost
	}
	size := len(r.uploads[id].data)
	w.Header().Set("Location", fmt.Sprintf("http://%s/v2/%s/blobs/uploads/%s?_state=%d", host, repository, id, size))
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(0, size-1)))
	if rules.MinChunk > 0 {
		w.Header().Set("OCI-Chunk-Min-Length", fmt.Sprint(rules.MinChunk))
	}
}

// take adds a request's body to an upload.
func (r *Registry) take(w http.ResponseWriter, req *http.Request, rules Rules, u *upload) bool {
	if rules.MaxChunk > 0 && req.ContentLength > rules.MaxChunk {
		refuseRead(w, req, http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "the chunk is too large")
		return false
	}
	r.mu.Lock()
	size := len(u.data)
	r.mu.Unlock()
	var start, end int
	_, err := fmt.Sscanf(req.Header.Get("Content-Range"), "%d-%d", &start, &end)
	if err == nil && start != size || req.URL.Query().Get("_state") != strconv.Itoa(size) {
		refuseRead(w, req, http.StatusRequestedRangeNotSatisfiable, "RANGE_INVALID", "the upload is elsewhere")
		return false
	}
	if u.last && req.ContentLength != 0 {
		refuseRead(w, req, http.StatusBadRequest, "SIZE_INVALID", "a chunk before this one was too small")
		return false
	}
	data, err := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	u.last = req.Method == http.MethodPatch && int64(len(data)) < rules.MinChunk
	if err != nil {
		// The connection broke. What came of it stays.
		r.received[""] += int64(len(data))
		if !rules.NoResume {
			u.data = append(u.data, data...)
		}
		return false
	}
	u.data = append(u.data, data...)
	return true
}

// refuseRead refuses a request whose body it has read: who answers early may not be
// heard by one that still sends.
func refuseRead(w http.ResponseWriter, req *http.Request, status int, code, message string) {
	_, _ = io.Copy(io.Discard, req.Body)
	refuse(w, status, code, message)
}
