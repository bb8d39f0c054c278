package casregistry

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"net/http"
	"os"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxUploadAge is how long an unfinished upload is kept.
const maxUploadAge = 24 * time.Hour

// uploads are unfinished blobs: configs, artifacts, and layers from clients that do
// not build with the cache.
type uploads struct {
	folder folder
	// locks keep two requests from working on one upload.
	locks [64]sync.Mutex
}

func (u *uploads) lock(id string) (unlock func()) {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(id))
	mu := &u.locks[sum.Sum32()%uint32(len(u.locks))]
	mu.Lock()
	return mu.Unlock
}

// begin creates an upload, and deletes old unfinished ones.
func (u *uploads) begin() (id string, err error) {
	entries, err := fs.ReadDir(u.folder.root.FS(), "uploads")
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > maxUploadAge {
			_ = u.folder.root.Remove(uploadPath(entry.Name())) // another request may have been faster
		}
	}
	id = rand.Text()
	file, err := u.folder.root.OpenFile(uploadPath(id), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	return id, file.Close()
}

// add appends to an upload. It returns the open file and its size.
func (u *uploads) add(id string, body io.Reader) (*os.File, int64, error) {
	file, err := u.folder.root.OpenFile(uploadPath(id), os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, &refusal{status: http.StatusNotFound, code: "BLOB_UPLOAD_UNKNOWN", message: "the upload does not exist, or no longer; begin a new one"}
	}
	if err != nil {
		return nil, 0, err
	}
	_, copied := io.Copy(file, body)
	info, err := file.Stat()
	if err := errors.Join(copied, err); err != nil {
		return nil, 0, errors.Join(fmt.Errorf("receive blob: %w", err), file.Close())
	}
	return file, info.Size(), nil
}

// finish verifies an upload, and makes it a blob.
func (u *uploads) finish(id string, file *os.File, digest v1.Hash) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return errors.Join(err, file.Close())
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return errors.Join(err, file.Close())
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != digest.Hex {
		return errors.Join(&refusal{
			status: http.StatusBadRequest, code: "DIGEST_INVALID", message: "the blob has another digest: sha256:" + got, details: []string{digest.String()},
		}, file.Close(), u.folder.root.Remove(uploadPath(id)))
	}
	return u.folder.keep(file, uploadPath(id), blobPath(digest))
}

// serveUpload answers requests for an upload (distribution spec, "Pushing Blobs").
func (r *Registry) serveUpload(w http.ResponseWriter, req *http.Request, repository, id string) error {
	if id == "" {
		if req.Method != http.MethodPost {
			return notAllowed()
		}
		return r.beginUpload(w, req, repository)
	}
	if len(id) != len(rand.Text()) || !fs.ValidPath(id) {
		return &refusal{status: http.StatusNotFound, code: "BLOB_UPLOAD_UNKNOWN", message: "the upload does not exist; begin a new one"}
	}
	defer r.uploads.lock(id)()
	switch req.Method {
	case http.MethodGet:
		return r.tellProgress(w, repository, id, nil, http.StatusNoContent)
	case http.MethodPatch:
		return r.tellProgress(w, repository, id, req, http.StatusAccepted)
	case http.MethodPut:
		return r.finishUpload(w, req, repository, id)
	case http.MethodDelete:
		if err := r.folder.root.Remove(uploadPath(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return notAllowed()
}

// beginUpload begins an upload, unless the registry has the blob.
func (r *Registry) beginUpload(w http.ResponseWriter, req *http.Request, repository string) error {
	if mount := req.URL.Query().Get("mount"); mount != "" {
		digest, err := sha256Digest(mount)
		if err != nil {
			return err
		}
		there, err := r.folder.has(blobPath(digest))
		if err == nil && !there {
			_, there, err = r.hasLayer(req.Context(), digest)
		}
		if err != nil {
			return err
		}
		if there {
			created(w, "/v2/"+repository+"/blobs/"+digest.String(), digest)
			return nil
		}
	}
	id, err := r.uploads.begin()
	if err != nil {
		return fmt.Errorf("begin upload: %w", err)
	}
	if req.URL.Query().Has("digest") {
		return r.finishUpload(w, req, repository, id)
	}
	return r.tellProgress(w, repository, id, nil, http.StatusAccepted)
}

// tellProgress adds the body of a request to an upload, and answers with its size.
func (r *Registry) tellProgress(w http.ResponseWriter, repository, id string, more *http.Request, status int) error {
	body := io.Reader(http.NoBody)
	if more != nil {
		body = more.Body
		if err := r.checkChunk(id, more.Header.Get("Content-Range")); err != nil {
			return err
		}
	}
	file, size, err := r.uploads.add(id, body)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v2/"+repository+"/blobs/uploads/"+id)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(size-1, 0)))
	w.WriteHeader(status)
	return file.Close()
}

// checkChunk refuses a chunk that does not begin where the upload ends.
func (r *Registry) checkChunk(id, contentRange string) error {
	if contentRange == "" {
		return nil
	}
	var from, to int64
	info, err := r.folder.root.Stat(uploadPath(id))
	if err != nil {
		return nil //nolint:nilerr // whoever adds the chunk says so
	}
	if _, err := fmt.Sscanf(contentRange, "%d-%d", &from, &to); err != nil || from != info.Size() || to < from {
		return &refusal{
			status: http.StatusRequestedRangeNotSatisfiable, code: "BLOB_UPLOAD_INVALID",
			message: fmt.Sprintf("the chunk %s does not begin at the end of the upload, which has %d bytes", contentRange, info.Size()),
		}
	}
	return nil
}

func (r *Registry) finishUpload(w http.ResponseWriter, req *http.Request, repository, id string) error {
	digest, err := sha256Digest(req.URL.Query().Get("digest"))
	if err != nil {
		return err
	}
	file, _, err := r.uploads.add(id, req.Body)
	if err != nil {
		return err
	}
	if err := r.uploads.finish(id, file, digest); err != nil {
		return err
	}
	created(w, "/v2/"+repository+"/blobs/"+digest.String(), digest)
	return nil
}

func created(w http.ResponseWriter, location string, digest v1.Hash) {
	w.Header().Set("Location", location)
	w.Header().Set("Docker-Content-Digest", digest.String())
	w.WriteHeader(http.StatusCreated)
}
