package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// start begins a session that is deleted at the end, if it is not finished before.
func (p *probe) start(ctx context.Context, digest v1.Hash, size int) (*Upload, error) {
	upload, err := p.repo.Start(ctx, digest, int64(size), "")
	if err == nil {
		p.began(upload)
	}
	return upload, err
}

// sendOnce sends a blob in one mode, and in no other if that is refused.
func (p *probe) sendOnce(ctx context.Context, data []byte, mode uploadMode) (v1.Descriptor, error) {
	d := v1.Descriptor{MediaType: "application/octet-stream", Digest: hashOfBytes(data), Size: int64(len(data))}
	upload, err := p.start(ctx, d.Digest, len(data))
	if err != nil {
		return d, err
	}
	s := &sending{Upload: upload, content: bytesContent(data), hash: newCheckpoints(d.Digest, d.Size), mode: mode}
	return d, s.send(ctx)
}

// upload finds out in which mode blobs are taken.
func (p *probe) upload(ctx context.Context) (v1.Descriptor, error) {
	data, _ := noisy(64 << 10)
	blob, err := p.sendOnce(ctx, data, p.mode)
	p.note("upload", err == nil, err, "a blob is taken as POST and one PUT", "a blob is not taken as POST and one PUT")
	refused := asError(err)
	if refused != nil && !refused.Passing() && !refused.Denied() {
		p.mode.patchLast = true
		blob, err = p.sendOnce(ctx, data, p.mode)
	}
	return blob, err
}

func (p *probe) patched(ctx context.Context) {
	data, _ := noisy(64 << 10)
	_, err := p.sendOnce(ctx, data, uploadMode{patchLast: true})
	p.note("upload by PATCH", err == nil, err, "a blob is taken as POST, PATCH and PUT", "a blob is not taken as POST, PATCH and PUT")
}

// head finds out what lookups tell of a blob that is there.
func (p *probe) head(ctx context.Context, blob v1.Descriptor) {
	const name, yes, no = "lookup of blobs", "HEAD tells whether a blob is there", "HEAD does not tell whether a blob is there"
	a, err := p.answer(ctx, call{op: "look up blob", method: http.MethodHead, url: p.repo.blobURL(blob.Digest), scopes: pushScopes(p.repo.name)})
	if err != nil {
		p.note(name, false, err, yes, no)
		return
	}
	p.note(name, a.status == http.StatusOK || isRedirect(a.status), nil, yes, answered(no, a))
}

// answered is a detail with the status that it is about.
func answered(detail string, a *answer) string {
	return fmt.Sprintf("%s (%d %s)", detail, a.status, http.StatusText(a.status))
}

func (p *probe) selfMount(ctx context.Context, blob v1.Descriptor) {
	p.tryMount(ctx, "lookup by mount", p.repo, blob, "one request tells whether a blob is there and begins its upload if not",
		"blobs are looked up by a request of their own")
}

func (p *probe) mount(ctx context.Context, blob v1.Descriptor) {
	p.tryMount(ctx, "mount", p.second, blob, "shared layers are uploaded once and mounted elsewhere",
		"shared layers are uploaded to each repository; some registries mount only what a manifest refers to")
}

func (p *probe) tryMount(ctx context.Context, name string, into *Repository, blob v1.Descriptor, yes, no string) {
	a, err := p.answer(ctx, call{
		op: "mount blob into " + into.name, method: http.MethodPost, open: noBody, optional: true,
		url:    into.uploadsURL() + "?" + url.Values{"mount": {blob.Digest.String()}, "from": {p.repo.name}}.Encode(),
		scopes: pushScopes(into.name, p.repo.name),
	})
	if err != nil {
		p.note(name, false, err, yes, no)
		return
	}
	mounted := a.status == http.StatusCreated && !isSession(a)
	if mounted && into != p.repo {
		p.wrote(into, into.blobURL(blob.Digest))
	} else if session, err := p.repo.host.location("", a); !mounted && err == nil {
		p.wrote(into, session.String())
	}
	if a.status >= http.StatusBadRequest {
		no = answered("refused; "+no, a)
	}
	p.note(name, mounted, nil, yes, no)
}

func (p *probe) resume(ctx context.Context) {
	const name, yes, no = "resume", "an upload that breaks goes on where it was", "an upload that breaks starts again"
	data, digest := noisy(256 << 10)
	upload, err := p.start(ctx, digest, len(data))
	if err != nil {
		p.note(name, false, err, yes, no)
		return
	}
	// The connection breaks in the middle of the upload, as they do: some registries
	// keep what a request brought that ended well, and nothing else.
	broken := &sending{Upload: upload, content: brokenContent(data[:100<<10]), hash: newCheckpoints(digest, int64(len(data)))}
	_ = broken.send(ctx)
	// The registry has to notice, and a busy one takes its time.
	var offset int64
	for range breakPauses {
		if err := p.repo.host.client.opts.Wait(ctx, breakPause); err != nil {
			p.note(name, false, err, yes, no)
			return
		}
		offset, err = upload.progress(ctx)
		if err != nil || offset > 0 {
			break
		}
	}
	if failed := asError(err); failed != nil && !failed.Passing() {
		// The session is gone, or was never there to be asked.
		err = nil
	}
	if err != nil || offset <= 0 {
		p.note(name, false, err, yes, no)
		return
	}
	rest := &sending{Upload: upload, content: bytesContent(data), hash: newCheckpoints(digest, int64(len(data))), offset: offset}
	err = rest.send(ctx)
	p.note(name, err == nil, nil, yes, no)
}

// A registry is given breakPauses times breakPause to notice that a connection
// broke.
const (
	breakPause  = 500 * time.Millisecond
	breakPauses = 6
)

// brokenContent is content whose source fails after its bytes.
type brokenContent []byte

var errBroken = errors.New("broken off on purpose")

// Open implements [Content].
func (b brokenContent) Open(context.Context, int64) (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(bytes.NewReader(b), broken{})), nil
}

// broken is a source that fails.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

// chunk finds out between which sizes a chunk may be.
func (p *probe) chunk(ctx context.Context) {
	data, digest := noisy(probeChunk + 1)
	upload, err := p.start(ctx, digest, len(data))
	if err == nil {
		least := upload.minChunk
		p.note("small chunks", least == 0, nil, "chunks may be small", fmt.Sprintf("chunks have %d bytes at least, which uploads in chunks obey", least))
		s := &sending{Upload: upload, content: bytesContent(data), hash: newCheckpoints(digest, int64(len(data)))}
		var a *answer
		if a, err = s.request(ctx, http.MethodPatch, probeChunk); err == nil {
			err = upload.moveTo("upload chunk", a)
		}
	}
	p.note("chunks over 4 MiB", err == nil, err, "chunks may be large", "chunks are limited; layers go in one PUT, which has no such limit")
}
