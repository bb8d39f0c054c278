package registry

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
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

const (
	// probeChunk is over the 4 MiB that some registries take at most in one PATCH.
	probeChunk = 5 << 20

	// probeLimit bounds a probe, and cleanLimit the removal of what it wrote.
	probeLimit = 5 * time.Minute
	cleanLimit = time.Minute
)

// Probe finds out what a registry can do. It writes about 6 MiB of noise, and a few
// small manifests, to two repositories: the one that is named and a second one beside
// it, to mount into. What the registry lets it, it deletes again, even when the context
// ends before. It takes five minutes at most. The error is that of a registry which
// cannot be written to at all; what else was found is told all the same.
func (c *Client) Probe(ctx context.Context, registry, repository string) ([]Finding, error) {
	repo, err := c.Repository(registry, repository, Caller{Invocation: "doctor"})
	if err != nil {
		return nil, err
	}
	second, err := c.Repository(registry, repository+"-mount", Caller{Invocation: "doctor"})
	if err != nil {
		return nil, err
	}
	p := &probe{repo: repo, second: second, tag: "drayage-doctor-" + strings.ToLower(rand.Text()[:10])}
	limited, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	err = p.run(limited)
	p.clean(context.WithoutCancel(ctx))
	return p.findings, err
}

type probe struct {
	repo, second *Repository
	// tag is one that nobody has.
	tag string
	// mode is one in which blobs are taken.
	mode     uploadMode
	findings []Finding
	written  []written
}

func (p *probe) run(ctx context.Context) error {
	if err := p.authenticate(ctx); err != nil {
		return err
	}
	blob, err := p.upload(ctx)
	if err != nil {
		return err
	}
	p.patched(ctx)
	p.head(ctx, blob)
	p.selfMount(ctx, blob)
	p.mount(ctx, blob)
	p.resume(ctx)
	p.chunk(ctx)
	return p.manifests(ctx)
}

// note notes how a trial went. A registry that refused for good has told what it does;
// any other failure says nothing.
func (p *probe) note(name string, works bool, err error, yes, no string) {
	f := Finding{Name: name, Works: works, Detail: no}
	if works {
		f.Detail = yes
	}
	if refused := asError(err); refused != nil && !refused.Passing() && no != "" {
		f = Finding{Name: name, Detail: fmt.Sprintf("%s (%d %s)", no, refused.Status, http.StatusText(refused.Status))}
	} else if err != nil {
		f = Finding{Name: name, Err: err.Error()}
	}
	p.findings = append(p.findings, f)
}

// authenticate finds out how the registry wants to be spoken to.
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
	detail := fmt.Sprintf("authentication: %s; asked %s", scheme, used.kind)
	if name := h.quirks().name; name != "" {
		detail += "; it is known as " + name
	}
	p.note("auth", err == nil, err, detail, "")
	return err
}

// answer makes one request, and tells how it was answered, whatever that was.
func (p *probe) answer(ctx context.Context, c call) (*answer, error) {
	c.fine, c.tries = func(int) bool { return true }, optionalTries
	return p.repo.host.request(ctx, p.repo.caller, c)
}

// noisy is a blob that no registry has yet.
func noisy(size int) ([]byte, v1.Hash) {
	data := make([]byte, size)
	// Read never fails (crypto/rand).
	_, _ = rand.Read(data)
	return data, hashOfBytes(data)
}

// bytesContent is an upload's content in memory.
type bytesContent []byte

// Open implements [Content].
func (b bytesContent) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b[offset:])), nil
}
