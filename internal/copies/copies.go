package copies

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/clock"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

// reads is how often a manifest is read if its bytes do not match its digest: a proxy
// may have answered instead of the registry.
const reads = 3

// Options say how an image is read.
type Options struct {
	// Registries sends the requests. It is required.
	Registries *registry.Client
	// Referrers adds what refers to the image or to its parts: signatures, bills of
	// materials.
	Referrers bool
	// Invocation is the invocation that the requests belong to.
	Invocation string
}

// Image is an image in a registry.
type Image struct {
	// Digest of its manifest or index.
	Digest v1.Hash
	// Manifests of the image and of its referrers, in the order in which a registry
	// accepts them.
	Manifests []v1.Descriptor
	// Blobs are the configs and layers of the manifests.
	Blobs []pushspec.Blob
	// Referrers counts the manifests of referrers.
	Referrers int
	// Gone are referrers that the registry lists but does not have.
	Gone []v1.Hash

	from Reference
}

// Spec returns the push spec of a copy of the image.
func (i *Image) Spec(to pushspec.Destination) (*pushspec.Spec, error) {
	spec := &pushspec.Spec{
		Target:      "copy of " + i.from.name() + "@" + i.Digest.String(),
		Destination: to,
		Root:        i.Digest,
		Manifests:   slices.Clone(i.Manifests),
		Blobs:       slices.Clone(i.Blobs),
	}
	spec.Version()
	return spec, spec.Validate()
}

// Read reads the manifests of an image, and lists its blobs.
func Read(ctx context.Context, from Reference, options Options) (*Image, error) {
	if from.manifest() == "" {
		return nil, fmt.Errorf("read %s: the source must have a tag or a digest", from)
	}
	repository, err := options.Registries.Repository(from.Registry, from.Repository, registry.Caller{Invocation: options.Invocation})
	if err != nil {
		return nil, err
	}
	r := &reader{
		repository: repository, image: &Image{from: from},
		there: map[v1.Hash]bool{}, blobs: map[v1.Hash]bool{},
	}
	root, found, err := r.manifest(ctx, from.manifest())
	if err == nil && !found {
		err = errors.New("the registry does not have this image")
	}
	if err == nil {
		r.image.Digest = root.Digest
		err = r.add(ctx, root)
	}
	if err == nil && options.Referrers {
		err = r.addReferrers(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", from, err)
	}
	return r.image, nil
}

// reader reads one image.
type reader struct {
	repository *registry.Repository
	image      *Image
	// there are the manifests, and blobs the blobs, that the image has.
	there, blobs map[v1.Hash]bool
	// size is that of all manifests, in bytes.
	size int64
}

// document has the fields of a manifest or an index that are needed here.
type document struct {
	Config    *v1.Descriptor  `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
	Manifests []v1.Descriptor `json:"manifests"`
	Subject   *v1.Descriptor  `json:"subject"`
	FSLayers  []struct{}      `json:"fsLayers"`
}

// manifest reads a manifest, and reads it again if it does not match its digest.
func (r *reader) manifest(ctx context.Context, reference string) (d v1.Descriptor, found bool, err error) {
	for read := 1; ; read++ {
		d, found, err = r.repository.PullManifest(ctx, reference, pushspec.MaxDataSize)
		if _, wrong := errors.AsType[*registry.MismatchError](err); !wrong || read == reads {
			return d, found, err
		}
		if err := clock.Wait(ctx, time.Second); err != nil {
			return v1.Descriptor{}, false, err
		}
	}
}

// add adds a manifest after what it refers to.
func (r *reader) add(ctx context.Context, d v1.Descriptor) error {
	if r.there[d.Digest] {
		return nil
	}
	doc, err := read(&d)
	if err != nil {
		return err
	}
	r.there[d.Digest] = true
	if len(r.there) > pushspec.MaxManifests {
		return fmt.Errorf("it has more than %d manifests, the limit of one copy", pushspec.MaxManifests)
	}
	if r.size += d.Size; r.size > pushspec.MaxSize {
		return fmt.Errorf("its manifests have more than %d bytes, the limit of one copy", pushspec.MaxSize)
	}
	for _, child := range doc.Manifests {
		if r.there[child.Digest] {
			continue
		}
		found, err := r.child(ctx, d.Digest, child)
		if err != nil {
			return err
		}
		if err := r.add(ctx, found); err != nil {
			return err
		}
	}
	blobs := doc.Layers
	if doc.Config != nil {
		blobs = append([]v1.Descriptor{*doc.Config}, blobs...)
	}
	for _, blob := range blobs {
		r.addBlob(blob)
	}
	r.image.Manifests = append(r.image.Manifests, d)
	return nil
}

func (r *reader) child(ctx context.Context, of v1.Hash, child v1.Descriptor) (v1.Descriptor, error) {
	d, found, err := r.manifest(ctx, child.Digest.String())
	if err != nil {
		return d, err
	}
	if !found {
		return d, fmt.Errorf("the index %s lists the manifest %s, which the registry does not have; push that manifest, or copy the images of the index one by one", of, child.Digest)
	}
	// The platform in the index tells people which image it is.
	d.Platform = child.Platform
	if child.MediaType != "" {
		d.MediaType = child.MediaType
	}
	return d, nil
}

func (r *reader) addBlob(blob v1.Descriptor) {
	if r.blobs[blob.Digest] {
		return
	}
	r.blobs[blob.Digest] = true
	r.image.Blobs = append(r.image.Blobs, pushspec.Blob{
		Descriptor: v1.Descriptor{MediaType: blob.MediaType, Digest: blob.Digest, Size: blob.Size, URLs: blob.URLs},
		Sources:    []pushspec.Source{{Repository: r.image.from.name()}},
	})
}

// read parses a manifest, and checks its media type.
func read(d *v1.Descriptor) (document, error) {
	var doc struct {
		MediaType string `json:"mediaType"`
		document
	}
	if err := pushspec.CheckDocument(d.Data, pushspec.MaxBlobs); err != nil {
		return document{}, fmt.Errorf("the manifest %s is not valid: %w", d.Digest, err)
	}
	if err := json.Unmarshal(d.Data, &doc); err != nil {
		return document{}, fmt.Errorf("the manifest %s is not valid: %w", d.Digest, err)
	}
	if doc.MediaType != "" {
		d.MediaType = mediaType(doc.MediaType)
	}
	if len(doc.FSLayers) > 0 || strings.Contains(string(d.MediaType), "docker.distribution.manifest.v1+") {
		return document{}, fmt.Errorf("the manifest %s has docker's first schema, which registries no longer accept; build or push the image again", d.Digest)
	}
	if !d.MediaType.IsImage() && !d.MediaType.IsIndex() {
		return document{}, fmt.Errorf("the manifest %s has the media type %q, which is neither an image nor an index", d.Digest, d.MediaType)
	}
	return doc.document, nil
}
