package registrytest

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"strings"

	"github.com/go-json-experiment/json"
)

func (r *Registry) serve(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/token" {
		r.serveToken(w, req)
		return
	}
	r.mu.Lock()
	rules := r.rules
	r.requests[req.Method+" "+kindOf(req)]++
	r.mu.Unlock()
	r.traced.Lock()
	at := len(r.trace)
	r.trace = append(r.trace, Exchange{Request: NameOf(req), Sent: max(0, req.ContentLength)})
	r.traced.Unlock()

	answer := &answerWriter{ResponseWriter: w, told: func(status int) {
		r.traced.Lock()
		defer r.traced.Unlock()
		r.trace[at].Status = status
	}}
	var fault *Fault
	if rules.Fault != nil {
		fault = rules.Fault(req)
	}
	switch {
	case fault == nil:
		r.answer(answer, req, rules)
	case fault.Answer > 0:
		r.answer(&cutAnswer{ResponseWriter: answer, left: fault.Answer}, req, rules)
	case fault.Amend != nil:
		answer.amend = fault.Amend
		r.answer(answer, req, rules)
	default:
		if fault.Late {
			r.answer(&lostAnswer{header: http.Header{}}, req, rules)
		}
		r.fail(answer, req, fault)
	}
}

// answer answers as it is right.
func (r *Registry) answer(w http.ResponseWriter, req *http.Request, rules Rules) {
	if !r.authorized(w, req, rules) {
		return
	}
	rest := strings.TrimPrefix(req.URL.Path, "/v2/")
	switch kind := kindOf(req); {
	case rest == "":
		w.WriteHeader(http.StatusOK)
	case kind == "manifests":
		repository, reference, _ := strings.Cut(rest, "/manifests/")
		r.serveManifest(w, req, rules, repository, reference)
	case kind == "uploads":
		repository, id, _ := strings.Cut(rest, "/blobs/uploads/")
		r.serveUpload(w, req, rules, repository, id)
	case kind == "blobs":
		repository, digest, _ := strings.Cut(rest, "/blobs/")
		r.serveBlob(w, req, rules, repository, digest)
	case kind == "referrers" && rules.Referrers:
		repository, digest, _ := strings.Cut(rest, "/referrers/")
		r.serveReferrers(w, req, repository, digest)
	case kind == "list":
		repository, _, _ := strings.Cut(rest, "/tags/list")
		r.serveTags(w, repository)
	default:
		refuse(w, http.StatusNotFound, "NAME_INVALID", "no such path")
	}
}

func kindOf(req *http.Request) string {
	for _, part := range []string{"manifests", "uploads", "blobs", "referrers"} {
		if strings.Contains(req.URL.Path, "/"+part+"/") {
			return part
		}
	}
	return path.Base(req.URL.Path)
}

// NameOf says what a request asks for: "HEAD tag", "POST mount", "PUT upload".
func NameOf(req *http.Request) string {
	query := req.URL.Query()
	what := map[string]string{"manifests": "manifest", "uploads": "upload", "blobs": "blob", "list": "tags"}[kindOf(req)]
	switch {
	case query.Get("from") != "" && strings.Contains(req.URL.Path, "/"+query.Get("from")+"/blobs/"):
		what = "mount from itself"
	case query.Get("mount") != "":
		what = "mount"
	case what == "manifest" && query.Has("tag"):
		what = "manifest with tags"
	case what == "manifest" && !strings.Contains(path.Base(req.URL.Path), ":"):
		what = "tag"
	}
	return req.Method + " " + what
}

// fail takes a part of the body, keeps it where an upload would, and then
// misbehaves.
func (r *Registry) fail(w http.ResponseWriter, req *http.Request, fault *Fault) {
	if fault.After > 0 {
		data, _ := io.ReadAll(io.LimitReader(req.Body, fault.After))
		r.mu.Lock()
		if u := r.uploads[path.Base(req.URL.Path)]; u != nil && !r.rules.NoResume {
			u.data = append(u.data, data...)
		}
		r.received[""] += int64(len(data))
		r.mu.Unlock()
	}
	if fault.Drain || fault.Status != 0 && fault.After == 0 {
		_, _ = io.Copy(io.Discard, req.Body)
	}
	if fault.Status == 0 {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
		return
	}
	maps.Copy(w.Header(), fault.Header)
	if fault.Body != "" {
		w.WriteHeader(fault.Status)
		_, _ = io.WriteString(w, fault.Body)
		return
	}
	if fault.Status < http.StatusBadRequest {
		w.WriteHeader(fault.Status)
		return
	}
	refuse(w, fault.Status, cmp.Or(fault.Code, "FAULT"), "made by the test")
}

// answerWriter remembers the status, and may change it and the header.
type answerWriter struct {
	http.ResponseWriter
	status int
	told   func(status int)
	amend  func(status int, header http.Header) int
}

func (a *answerWriter) WriteHeader(status int) {
	if a.amend != nil {
		status = a.amend(status, a.Header())
	}
	a.status = status
	a.told(status)
	a.ResponseWriter.WriteHeader(status)
}

func (a *answerWriter) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(p)
}

func (a *answerWriter) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// lostAnswer is an answer that nobody gets.
type lostAnswer struct{ header http.Header }

func (l *lostAnswer) Header() http.Header         { return l.header }
func (l *lostAnswer) Write(p []byte) (int, error) { return len(p), nil }
func (l *lostAnswer) WriteHeader(int)             {}

// cutAnswer cuts the connection in the middle of an answer.
type cutAnswer struct {
	http.ResponseWriter
	left int64
}

func (c *cutAnswer) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cutAnswer) Write(p []byte) (int, error) {
	if int64(len(p)) <= c.left {
		c.left -= int64(len(p))
		return c.ResponseWriter.Write(p)
	}
	_, _ = c.ResponseWriter.Write(p[:c.left])
	panic(http.ErrAbortHandler) // net/http's way to cut a connection
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, message)
}

func (r *Registry) serveBlob(w http.ResponseWriter, req *http.Request, rules Rules, repository, digest string) {
	r.mu.Lock()
	data, found := r.blobs[repository][digest]
	if req.Method == http.MethodDelete && rules.Deletes {
		delete(r.blobs[repository], digest)
	}
	r.mu.Unlock()
	if !found {
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "no such blob")
		return
	}
	if req.Method == http.MethodDelete {
		deleted(w, rules)
		return
	}
	var offset int
	if n, _ := fmt.Sscanf(req.Header.Get("Range"), "bytes=%d-", &offset); n == 1 && offset <= len(data) {
		data = data[offset:]
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.WriteHeader(http.StatusPartialContent)
	} else {
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.WriteHeader(http.StatusOK)
	}
	if req.Method == http.MethodGet {
		_, _ = w.Write(data)
	}
}

func (r *Registry) serveManifest(w http.ResponseWriter, req *http.Request, rules Rules, repository, reference string) {
	if req.Method != http.MethodPut {
		r.mu.Lock()
		m, found := r.manifest[repository][reference]
		if req.Method == http.MethodDelete && rules.Deletes {
			r.deleteManifest(repository, reference)
		}
		r.mu.Unlock()
		if !found {
			refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "no such manifest")
			return
		}
		if req.Method == http.MethodDelete {
			deleted(w, rules)
			return
		}
		w.Header().Set("Content-Type", m.mediaType)
		w.Header().Set("Docker-Content-Digest", digestOf(m.data))
		w.Header().Set("Content-Length", fmt.Sprint(len(m.data)))
		w.WriteHeader(http.StatusOK)
		if req.Method == http.MethodGet {
			_, _ = w.Write(m.data)
		}
		return
	}
	data, err := io.ReadAll(io.LimitReader(req.Body, 4<<20+1))
	if err != nil || len(data) > 4<<20 {
		refuse(w, http.StatusRequestEntityTooLarge, "SIZE_INVALID", "manifest is over 4 MiB")
		return
	}
	digest := digestOf(data)
	if strings.Contains(reference, ":") && reference != digest {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "the manifest has another digest")
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if missing := r.lacks(repository, data, rules.ForeignLayers); missing != "" {
		refuse(w, http.StatusBadRequest, "MANIFEST_BLOB_UNKNOWN", missing)
		return
	}
	references := []string{digest, reference}
	if rules.MultiTag {
		references = append(references, req.URL.Query()["tag"]...)
	}
	for _, tag := range references[1:] {
		if _, there := r.manifest[repository][tag]; there && rules.ImmutableTags && tag != digest {
			refuse(w, http.StatusBadRequest, "TAG_INVALID", "the tag is immutable")
			return
		}
	}
	if r.manifest[repository] == nil {
		r.manifest[repository] = map[string]stored{}
	}
	for _, tag := range references[2:] {
		w.Header().Add("OCI-Tag", tag)
	}
	for _, ref := range references {
		r.manifest[repository][ref] = stored{req.Header.Get("Content-Type"), data}
	}
	var doc struct {
		Subject *struct {
			Digest string `json:"digest"`
		} `json:"subject"`
	}
	if json.Unmarshal(data, &doc) == nil && doc.Subject != nil && rules.Referrers {
		w.Header().Set("OCI-Subject", doc.Subject.Digest)
	}
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
}

// lacks is a digest that a manifest refers to and the repository does not have,
// or "".
func (r *Registry) lacks(repository string, data []byte, foreign bool) string {
	type descriptor struct {
		Digest    string   `json:"digest"`
		MediaType string   `json:"mediaType"`
		URLs      []string `json:"urls"`
	}
	var doc struct {
		Config    *descriptor  `json:"config"`
		Layers    []descriptor `json:"layers"`
		Manifests []descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return "the manifest is not readable"
	}
	blobs := doc.Layers
	if doc.Config != nil {
		blobs = append(blobs, *doc.Config)
	}
	for _, d := range blobs {
		elsewhere := foreign && len(d.URLs) > 0 && strings.Contains(d.MediaType, ".nondistributable.")
		if _, found := r.blobs[repository][d.Digest]; !found && !elsewhere {
			return d.Digest
		}
	}
	for _, d := range doc.Manifests {
		if _, found := r.manifest[repository][d.Digest]; !found {
			return d.Digest
		}
	}
	return ""
}
