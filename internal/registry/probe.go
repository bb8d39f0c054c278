package registry

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Finding is what a probe found out about a registry.
type Finding struct {
	// Name is what was tried: "mount".
	Name string `json:"name"`
	// Works tells whether it went well; where Err is set it is not known.
	Works bool `json:"works"`
	// Detail says what it means for a haul.
	Detail string `json:"detail"`
	// Err is why the trial could not be made, or "".
	Err string `json:"error,omitempty"`
}

// probeChunk is over the 4 MiB that some registries take at most in one PATCH.
const probeChunk = 5 << 20

// Probe finds out what a registry can do. It writes about 6 MiB of noise, and
// three small manifests, to two repositories: the one that is named and a second
// one beside it, to mount into. The error is that of a registry which cannot be
// written to at all; what else was found is told all the same.
func (c *Client) Probe(ctx context.Context, registry, repository string) ([]Finding, error) {
	repo, err := c.Repository(registry, repository, Caller{Invocation: "doctor"})
	if err != nil {
		return nil, err
	}
	second, err := c.Repository(registry, repository+"-mount", Caller{Invocation: "doctor"})
	if err != nil {
		return nil, err
	}
	p := &probe{repo: repo}
	if err := p.authenticate(ctx); err != nil {
		return p.findings, err
	}
	blob, err := p.upload(ctx)
	if err != nil {
		return p.findings, err
	}
	p.selfMount(ctx, blob)
	p.mount(ctx, second, blob)
	p.resume(ctx)
	p.chunk(ctx)
	config, err := p.put(ctx, []byte("{}"))
	if err != nil {
		return append(p.findings, Finding{Name: "manifest", Err: err.Error()}), err
	}
	p.manifests(ctx, config)
	return p.findings, nil
}

type probe struct {
	repo     *Repository
	findings []Finding
}

func (p *probe) note(name string, works bool, err error, yes, no string) {
	f := Finding{Name: name, Works: works, Detail: no}
	if works {
		f.Detail = yes
	}
	if err != nil {
		f = Finding{Name: name, Err: err.Error()}
	}
	p.findings = append(p.findings, f)
}

func (p *probe) authenticate(ctx context.Context) error {
	h := p.repo.host
	_, _, err := p.repo.Head(ctx, "latest")
	used := authorization{kind: anonymously}
	if err == nil {
		used, err = h.auth.authorize(ctx, pushScopes(p.repo.name))
	}
	scheme := used.scheme
	if scheme == "" {
		scheme = "none asked for"
	}
	p.note("auth", err == nil, err, fmt.Sprintf("authentication: %s; asked %s", scheme, used.kind), "")
	return err
}

// noisy is a blob that no registry has yet.
func noisy(size int) ([]byte, v1.Hash) {
	data := make([]byte, size)
	// Read never fails (crypto/rand).
	_, _ = rand.Read(data)
	return data, hashOfBytes(data)
}

func hashOfBytes(data []byte) v1.Hash {
	sum := sha256.Sum256(data)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

// bytesContent is an upload's content in memory.
type bytesContent []byte

func (b bytesContent) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b[offset:])), nil
}

func (p *probe) put(ctx context.Context, data []byte) (v1.Descriptor, error) {
	d := v1.Descriptor{MediaType: "application/octet-stream", Digest: hashOfBytes(data), Size: int64(len(data))}
	upload, err := p.repo.Start(ctx, d.Digest, d.Size, "")
	if err != nil {
		return d, err
	}
	_, err = upload.Put(ctx, bytesContent(data))
	return d, err
}

func (p *probe) upload(ctx context.Context) (v1.Descriptor, error) {
	data, _ := noisy(64 << 10)
	d, err := p.put(ctx, data)
	p.note("upload", err == nil, err, "a blob is taken as POST and one PUT", "")
	return d, err
}

func (p *probe) selfMount(ctx context.Context, blob v1.Descriptor) {
	upload, err := p.repo.Start(ctx, blob.Digest, blob.Size, p.repo.name)
	p.note("lookup by mount", upload == nil, err, "one request tells whether a blob is there and begins its upload if not",
		"blobs are looked up by a request of their own")
}

func (p *probe) mount(ctx context.Context, into *Repository, blob v1.Descriptor) {
	upload, err := into.Start(ctx, blob.Digest, blob.Size, p.repo.name)
	p.note("mount", upload == nil, err, "shared layers are uploaded once and mounted elsewhere",
		"shared layers are uploaded to each repository; some registries mount only what a manifest refers to")
}

// patch sends a part of a blob in a chunk of its own.
func (p *probe) patch(ctx context.Context, u *Upload, data []byte) error {
	resp, err := p.repo.host.do(ctx, p.repo.caller, call{
		op: "upload chunk to " + p.repo.name, method: http.MethodPatch, url: u.location.String(),
		header: http.Header{"Content-Type": {"application/octet-stream"}, "Content-Range": {fmt.Sprintf("0-%d", len(data)-1)}},
		open:   func(ctx context.Context) (io.ReadCloser, error) { return bytesContent(data).Open(ctx, 0) },
		size:   int64(len(data)), scopes: pushScopes(p.repo.name), lane: large, once: true,
		ok: []int{http.StatusAccepted, http.StatusNoContent, http.StatusCreated},
	})
	if err != nil {
		return err
	}
	drain(resp)
	return u.moveTo("upload chunk", resp)
}

func (p *probe) resume(ctx context.Context) {
	const name, yes, no = "resume", "an upload that breaks goes on where it was", "an upload that breaks starts again"
	data, digest := noisy(256 << 10)
	upload, err := p.repo.Start(ctx, digest, int64(len(data)), "")
	if err != nil {
		p.note(name, false, err, yes, no)
		return
	}
	// The connection breaks in the middle of the upload, as they do: some registries
	// keep what a request brought that ended well, and nothing else.
	var sent int64
	_ = upload.send(ctx, brokenContent(data[:100<<10]), newCheckpoints(digest, int64(len(data))), 0, &sent)
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
	err = upload.send(ctx, bytesContent(data), newCheckpoints(digest, int64(len(data))), offset, &sent)
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

func (p *probe) chunk(ctx context.Context) {
	data, digest := noisy(probeChunk)
	upload, err := p.repo.Start(ctx, digest, probeChunk, "")
	if err == nil {
		err = p.patch(ctx, upload, data)
	}
	refused := asError(err)
	if refused != nil && !refused.Passing() {
		err = nil
	}
	p.note("chunks over 4 MiB", refused == nil, err, "chunks may be large", "chunks are limited; layers go in one PUT, which has no such limit")
}

func (p *probe) manifests(ctx context.Context, config v1.Descriptor) {
	config.MediaType = types.OCIConfigJSON
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[],"annotations":{"drayage":%q}}`,
		types.OCIManifestSchema1, config.MediaType, config.Digest, config.Size, rand.Text())
	digest := hashOfBytes([]byte(manifest))
	written, err := p.repo.PutManifest(ctx, digest.String(), string(types.OCIManifestSchema1), []byte(manifest), "drayage-doctor-1", "drayage-doctor-2")
	p.note("manifest", err == nil, err, "manifests are taken", "")
	if err != nil {
		return
	}
	p.note("several tags at once", len(written.Tags) == 2, nil, "all tags are written in one request", "each tag is written by a request of its own")
	signature := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"artifactType":"application/vnd.drayage.doctor","config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[],"subject":{"mediaType":%q,"digest":%q,"size":%d}}`,
		types.OCIManifestSchema1, config.MediaType, config.Digest, config.Size, types.OCIManifestSchema1, digest, len(manifest))
	written, err = p.repo.PutManifest(ctx, hashOfBytes([]byte(signature)).String(), string(types.OCIManifestSchema1), []byte(signature))
	p.note("referrers", written.Subject, err, "the registry keeps track of referrers", "referrers are listed under a fallback tag")
}
