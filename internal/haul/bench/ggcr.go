package main

import (
	"context"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/cas"
)

// prepareGGCR makes the work for go-containerregistry's remote.Write, image after
// image: the layers of one go four at once, as it does by itself.
func prepareGGCR(_ context.Context, p *plan) (func(context.Context) error, error) {
	return writeGGCR(p, 1, false)
}

// prepareGGCR8 makes eight calls at once, and tells them what the hauler finds out: that
// the shared layers can be mounted from the first repository, whose image is written
// first.
func prepareGGCR8(_ context.Context, p *plan) (func(context.Context) error, error) {
	return writeGGCR(p, 8, true)
}

func writeGGCR(p *plan, atOnce int, told bool) (func(context.Context) error, error) {
	images, repository := p.images()
	type task struct {
		image     v1.Image
		reference name.Tag
	}
	client, err := cas.Dial(p.CAS, cas.Options{})
	if err != nil {
		return nil, err
	}
	tasks := make([]task, len(images))
	first, err := name.NewTag(p.Registry + "/" + repository(0) + ":" + tag(0))
	if err != nil {
		return nil, fmt.Errorf("name image: %w", err)
	}
	for i, made := range images {
		reference, err := name.NewTag(p.Registry + "/" + repository(i) + ":" + tag(i))
		if err != nil {
			return nil, fmt.Errorf("name image: %w", err)
		}
		img, err := partial.CompressedToImage(&casImage{made: made, client: client})
		if err != nil {
			return nil, fmt.Errorf("make image: %w", err)
		}
		if told && i > 0 && repository(i) != repository(0) {
			img = mountingImage{Image: img, from: first, shared: sharedLayers}
		}
		tasks[i] = task{img, reference}
	}
	return func(ctx context.Context) error {
		defer client.Close()
		write := func(ctx context.Context, i int) error {
			return remote.Write(tasks[i].reference, tasks[i].image, remote.WithContext(ctx), remote.WithAuth(authn.Anonymous))
		}
		if err := write(ctx, 0); err != nil {
			return err
		}
		return each(ctx, len(tasks)-1, atOnce, func(ctx context.Context, i int) error { return write(ctx, i+1) })
	}, nil
}

// mountingImage is an image whose first layers are in another repository.
type mountingImage struct {
	v1.Image
	from   name.Reference
	shared int
}

func (i mountingImage) Layers() ([]v1.Layer, error) {
	layers, err := i.Image.Layers()
	if err != nil {
		return nil, err
	}
	for n := range min(i.shared, len(layers)) {
		layers[n] = &remote.MountableLayer{Layer: layers[n], Reference: i.from}
	}
	return layers, nil
}

// casImage is an image whose layers are in the cache.
type casImage struct {
	made   image
	client *cas.Client
}

func (i *casImage) RawConfigFile() ([]byte, error) { return i.made.Config, nil }
func (i *casImage) RawManifest() ([]byte, error)   { return i.made.Manifest, nil }
func (i *casImage) MediaType() (types.MediaType, error) {
	return types.OCIManifestSchema1, nil
}

func (i *casImage) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, layer := range i.made.Layers {
		if layer.Digest == h {
			return &casLayer{layer, i.client}, nil
		}
	}
	return nil, fmt.Errorf("image has no layer %s", h)
}

type casLayer struct {
	descriptor v1.Descriptor
	client     *cas.Client
}

func (l *casLayer) Digest() (v1.Hash, error)            { return l.descriptor.Digest, nil }
func (l *casLayer) Size() (int64, error)                { return l.descriptor.Size, nil }
func (l *casLayer) MediaType() (types.MediaType, error) { return l.descriptor.MediaType, nil }
func (l *casLayer) Compressed() (io.ReadCloser, error) {
	return l.client.Stream(context.Background(), casBlob(l.descriptor), 0)
}

func casBlob(d v1.Descriptor) cas.Blob {
	return cas.Blob{Digest: cas.Digest{Function: cas.SHA256, Hash: d.Digest.Hex, Size: d.Size}}
}
