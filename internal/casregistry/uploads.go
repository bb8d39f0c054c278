package casregistry

import (
	"container/list"
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxUploadAge is how long an upload is kept that nobody goes on with.
const maxUploadAge = time.Hour

// upload is an unfinished blob: a config, an artifact, or a layer from a client that does
// not build with the cache.
type upload struct {
	id, client, repository string
	// end takes it off its client's account.
	end func()

	// mu is held while the file is changed, and never while a client is waited for.
	mu sync.Mutex
	// got is nil until something has arrived, and after gone is set.
	got  *received
	gone bool

	// What follows is the list's.
	used time.Time
	at   *list.Element
	// receiving counts the requests that are under way.
	receiving int
}

// size is how many bytes have arrived. mu is held.
func (u *upload) size() int64 {
	if u.got == nil {
		return 0
	}
	return u.got.size
}

// add adds a chunk, which is discarded if it cannot be. mu is held.
func (u *upload) add(chunk *received, contentRange string, limit int64) error {
	err := u.check(contentRange)
	if err == nil && u.size()+chunk.size > limit {
		err = tooLarge(limit)
	}
	if err != nil {
		chunk.discard()
		return err
	}
	if u.got == nil {
		u.got = chunk
		return nil
	}
	if err := u.got.join(chunk); err != nil {
		u.got.discard()
		u.got, u.gone = nil, true
		return fmt.Errorf("join the chunks of an upload: %w", err)
	}
	return nil
}

// check refuses a chunk that does not begin where the upload ends. mu is held.
func (u *upload) check(contentRange string) error {
	if u.gone {
		return uploadUnknown()
	}
	if contentRange == "" {
		return nil
	}
	var from, to int64
	if _, err := fmt.Sscanf(contentRange, "%d-%d", &from, &to); err != nil || from != u.size() || to < from {
		return &refusal{
			status: http.StatusRequestedRangeNotSatisfiable, code: "BLOB_UPLOAD_INVALID",
			message: fmt.Sprintf("the chunk %q does not begin at the end of the upload, which has %d bytes", contentRange, u.size()),
		}
	}
	return nil
}

// drop deletes what has arrived.
func (u *upload) drop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.gone = true
	u.end()
	if u.got != nil {
		u.got.discard()
		u.got = nil
	}
}

// uploads are those that are under way.
type uploads struct {
	now func() time.Time

	mu   sync.Mutex
	byID map[string]*upload
	// byUse has the one first that was used longest ago.
	byUse *list.List
}

func newUploads(now func() time.Time) *uploads {
	return &uploads{now: now, byID: map[string]*upload{}, byUse: list.New()}
}

// begin begins an upload, and drops those that nobody goes on with.
func (u *uploads) begin(client, repository string, end func()) *upload {
	for _, old := range u.expired() {
		old.drop()
	}
	one := &upload{id: rand.Text(), client: client, repository: repository, end: end}
	u.mu.Lock()
	defer u.mu.Unlock()
	one.used, one.at = u.now(), u.byUse.PushBack(one)
	u.byID[one.id] = one
	return one
}

func (u *uploads) expired() (old []*upload) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for at := u.byUse.Front(); at != nil; {
		one := at.Value.(*upload) //nolint:forcetypeassert // nothing else is put there
		at = at.Next()
		if u.now().Sub(one.used) < maxUploadAge {
			break
		}
		if one.receiving == 0 {
			u.remove(one)
			old = append(old, one)
		}
	}
	return old
}

// remove takes an upload off the list. mu is held.
func (u *uploads) remove(one *upload) {
	if u.byID[one.id] != nil {
		delete(u.byID, one.id)
		u.byUse.Remove(one.at)
	}
}

// use finds an upload of a client to a repository. It does not grow old until done is
// called.
func (u *uploads) use(c *call) (one *upload, done func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	one = u.byID[c.reference]
	if one == nil || one.client != c.client.Name || one.repository != c.repository {
		return nil, nil, uploadUnknown()
	}
	one.receiving++
	return one, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		one.receiving--
		one.used = u.now()
		if u.byID[one.id] != nil {
			u.byUse.MoveToBack(one.at)
		}
	}, nil
}

// end takes an upload off the list, and deletes what is left of it.
func (u *uploads) end(one *upload) {
	u.mu.Lock()
	u.remove(one)
	u.mu.Unlock()
	one.drop()
}

// serveUpload answers requests for an upload (distribution spec, "Pushing Blobs").
func (r *Registry) serveUpload(c *call) error {
	if _, err := r.mayPush(c, nil, ""); err != nil {
		return err
	}
	if c.reference == "" {
		if c.req.Method != http.MethodPost {
			return notAllowed()
		}
		return r.beginUpload(c)
	}
	one, done, err := r.uploads.use(c)
	if err != nil {
		return err
	}
	defer done()
	switch c.req.Method {
	case http.MethodGet:
		return tellProgress(c, one, http.StatusNoContent)
	case http.MethodPatch:
		if err := r.takeChunk(c, one); err != nil {
			return err
		}
		return tellProgress(c, one, http.StatusAccepted)
	case http.MethodPut:
		return r.finishUpload(c, one)
	case http.MethodDelete:
		r.uploads.end(one)
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return notAllowed()
}

// beginUpload begins an upload, unless the repository has the blob or may mount it.
func (r *Registry) beginUpload(c *call) error {
	query := c.req.URL.Query()
	if mount := query.Get("mount"); mount != "" {
		digest, err := sha256Digest(mount)
		if err != nil {
			return err
		}
		mounted, err := r.mount(c, digest, query.Get("from"))
		if err != nil {
			return err
		}
		if mounted {
			created(c.w, "/v2/"+c.repository+"/blobs/"+digest.String(), digest)
			return nil
		}
	}
	end, err := r.accounts.begin(c.client.Name)
	if err != nil {
		return err
	}
	one := r.uploads.begin(c.client.Name, c.repository, end)
	if !query.Has("digest") {
		return tellProgress(c, one, http.StatusAccepted)
	}
	defer r.uploads.end(one)
	c.reference = one.id
	one, done, err := r.uploads.use(c)
	if err != nil {
		return err
	}
	defer done()
	return r.finishUpload(c, one)
}

// mount gives a repository a blob that it has, or that another one has which the client
// may read and mount from. Where it cannot be, the client uploads the blob.
func (r *Registry) mount(c *call, digest v1.Hash, from string) (bool, error) {
	if from == "" {
		from = c.repository
	}
	if err := checkRepository(from); err != nil {
		return false, err
	}
	if from != c.repository {
		if r.mayRead(c, from) != nil {
			return false, nil
		}
		if _, err := r.mayPush(c, nil, from); err != nil {
			return false, nil
		}
	}
	if _, there, err := r.find(c.req.Context(), from, digest); err != nil || !there {
		return false, err
	}
	defer r.changes(c.repository)()
	size, there, err := r.folder.link(from, digest)
	if err != nil || !there {
		return false, err
	}
	kept := record{Value: strconv.FormatInt(size, 10), Client: c.client.Name, Size: fileCharge}
	if stored, err := r.folder.has(blobPath(digest)); err != nil {
		return false, err
	} else if stored {
		kept.Size += size
	}
	return true, r.keepRecord(linkPath(c.repository, digest), kept, nothing)
}

// takeChunk receives a chunk, and then adds it to the upload.
func (r *Registry) takeChunk(c *call, one *upload) error {
	contentRange := c.req.Header.Get("Content-Range")
	one.mu.Lock()
	err, size, begun := one.check(contentRange), one.size(), one.got != nil
	one.mu.Unlock()
	if err != nil || (begun && c.req.ContentLength == 0) {
		return err
	}
	chunk, err := r.receive(c, r.accounts.limits.BlobBytes-size)
	if err != nil {
		return err
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.add(chunk, contentRange, r.accounts.limits.BlobBytes)
}

func tellProgress(c *call, one *upload, status int) error {
	one.mu.Lock()
	defer one.mu.Unlock()
	c.w.Header().Set("Location", "/v2/"+c.repository+"/blobs/uploads/"+one.id)
	c.w.Header().Set("Range", fmt.Sprintf("0-%d", max(one.size()-1, 0)))
	c.w.WriteHeader(status)
	return nil
}

// finishUpload receives the rest of an upload, verifies it, and makes it a blob.
func (r *Registry) finishUpload(c *call, one *upload) error {
	digest, err := sha256Digest(c.req.URL.Query().Get("digest"))
	if err != nil {
		return err
	}
	if err := r.takeChunk(c, one); err != nil {
		return err
	}
	one.mu.Lock()
	got := one.got
	one.got, one.gone = nil, true
	one.mu.Unlock()
	defer r.uploads.end(one)
	if got == nil {
		return uploadUnknown() // another request was faster
	}
	if digest.String() != got.digest() {
		defer got.discard()
		return &refusal{
			status: http.StatusBadRequest, code: "DIGEST_INVALID", message: "the blob has another digest: " + got.digest(), details: []string{digest.String()},
		}
	}
	if err := r.keepBlob(c, got, digest); err != nil {
		return fmt.Errorf("store blob %s: %w", digest, err)
	}
	created(c.w, "/v2/"+c.repository+"/blobs/"+digest.String(), digest)
	return nil
}

// keepBlob makes what has arrived a blob of the repository.
func (r *Registry) keepBlob(c *call, got *received, digest v1.Hash) error {
	if err := got.file.Sync(); err != nil { // large ones take a while
		got.discard()
		return err
	}
	defer r.changes(c.repository)()
	size, kept := got.size, false
	r.accounts.add(got.client, -got.size)
	got.size = 0
	err := r.keepRecord(linkPath(c.repository, digest), record{Value: strconv.FormatInt(size, 10), Client: got.client, Size: size + fileCharge}, func() error {
		kept = true
		return got.keep(blobPath(digest))
	})
	if !kept {
		got.discard() // the repository has it, or must not
	}
	return err
}

func created(w http.ResponseWriter, location string, digest v1.Hash) {
	w.Header().Set("Location", location)
	w.Header().Set("Docker-Content-Digest", digest.String())
	w.WriteHeader(http.StatusCreated)
}
