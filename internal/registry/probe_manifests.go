package registry

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// manifests finds out what the registry makes of manifests, and of their tags. The error
// is that of a registry which takes none.
func (p *probe) manifests(ctx context.Context) error {
	config, err := p.sendOnce(ctx, []byte("{}"), p.mode)
	if err != nil {
		p.note("manifest", false, err, "", "")
		return err
	}
	config.MediaType = types.OCIConfigJSON
	first := p.manifest(config, nil)
	a, err := p.putManifest(ctx, first.Digest.String(), first)
	if err == nil && a.status >= http.StatusBadRequest {
		err = &Error{Op: "write manifest", registry: p.repo.Registry(), Status: a.status, Credential: "with what the registry was asked with"}
	}
	p.note("manifest", err == nil, err, "manifests are taken", "")
	if err != nil {
		return err
	}
	told := hashOf(a.header.Get("Docker-Content-Digest"))
	p.note("digest told", told == first.Digest, nil, "what was written is compared with what was sent",
		fmt.Sprintf("the answer to a manifest tells %q, and not its digest", clip(a.header.Get("Docker-Content-Digest"))))
	p.tags(ctx, config, first)
	p.referrers(ctx, config, first)
	return nil
}

// manifest is one that nobody has: of a config, and about a subject if there is one.
func (p *probe) manifest(config v1.Descriptor, subject *v1.Descriptor) v1.Descriptor {
	about := ""
	if subject != nil {
		about = fmt.Sprintf(`,"artifactType":"application/vnd.drayage.doctor","subject":{"mediaType":%q,"digest":%q,"size":%d}`,
			subject.MediaType, subject.Digest, subject.Size)
	}
	data := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[],"annotations":{"drayage":%q}%s}`,
		types.OCIManifestSchema1, config.MediaType, config.Digest, config.Size, rand.Text(), about)
	return v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: hashOfBytes(data), Size: int64(len(data)), Data: data}
}

func (p *probe) putManifest(ctx context.Context, reference string, m v1.Descriptor) (*answer, error) {
	a, err := p.answer(ctx, call{
		op: "write manifest " + p.repo.name + at(reference), method: http.MethodPut, url: p.repo.manifestURL(reference),
		header: http.Header{"Content-Type": {string(m.MediaType)}}, open: bytesBody(m.Data), size: m.Size, scopes: pushScopes(p.repo.name),
	})
	if err == nil && a.status < http.StatusMultipleChoices {
		p.wrote(p.repo, p.repo.manifestURL(m.Digest.String()))
	}
	return a, err
}

// tags finds out what becomes of tags.
func (p *probe) tags(ctx context.Context, config, first v1.Descriptor) {
	written, err := p.repo.PutManifest(ctx, first.Digest.String(), string(first.MediaType), first.Data, p.tag+"-a", p.tag+"-b")
	p.note("several tags at once", len(written.Tags) == 2, err, "all tags are written in one request", "each tag is written by a request of its own")

	if a, err := p.putManifest(ctx, p.tag, first); err != nil || a.status >= http.StatusBadRequest {
		p.note("tag", false, err, "", "no tag can be written")
		return
	}
	a, err := p.answer(ctx, call{
		op: "look up manifest", method: http.MethodHead, url: p.repo.manifestURL(p.tag),
		header: http.Header{"Accept": {manifestTypes}}, scopes: pushScopes(p.repo.name),
	})
	const tells, tellsNot = "HEAD tells what a tag points to", "tags are looked up by GET"
	if err != nil {
		p.note("lookup of tags", false, err, tells, tellsNot)
	} else {
		p.note("lookup of tags", hashOf(a.header.Get("Docker-Content-Digest")) == first.Digest, nil, tells, answered(tellsNot, a))
	}
	_, complete, err := p.repo.Tags(ctx, tagPage)
	p.note("list of tags", err == nil && complete, err, "many new tags are looked up in one request", "each tag is looked up by a request of its own")

	const moves, stays = "a tag can be moved to another image", "a tag is immutable: another image under it fails"
	a, err = p.putManifest(ctx, p.tag, p.manifest(config, nil))
	if err != nil {
		p.note("tags can be moved", false, err, moves, stays)
		return
	}
	p.note("tags can be moved", a.status < http.StatusMultipleChoices, nil, moves, answered(stays, a))
}

// referrers finds out whether the registry keeps track of what refers to an image.
func (p *probe) referrers(ctx context.Context, config, subject v1.Descriptor) {
	const keeps, keepsNot = "the registry keeps track of referrers", "referrers are listed under a fallback tag"
	signature := p.manifest(config, &subject)
	a, err := p.putManifest(ctx, signature.Digest.String(), signature)
	if err != nil {
		p.note("referrers", false, err, keeps, keepsNot)
		return
	}
	if a.status >= http.StatusBadRequest {
		p.note("referrers", false, nil, keeps, answered("manifests with a subject are not taken", a))
		return
	}
	p.note("referrers", a.header.Get("OCI-Subject") != "", nil, keeps, keepsNot)
	a, err = p.answer(ctx, call{
		op: "list referrers", method: http.MethodGet, url: p.repo.host.base + "/v2/" + p.repo.name + "/referrers/" + subject.Digest.String(),
		header: http.Header{"Accept": {string(types.OCIImageIndex)}}, scopes: pushScopes(p.repo.name),
	})
	const lists, listsNot = "it lists them when it is asked", "it cannot be asked for them"
	if err != nil {
		p.note("referrers API", false, err, lists, listsNot)
		return
	}
	p.note("referrers API", a.status == http.StatusOK, nil, lists, answered(listsNot, a))
}
