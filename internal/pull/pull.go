package pull

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/internal/layer"
	"github.com/drayage/drayage/internal/platform"
	"github.com/drayage/drayage/pushspec"
)

// Request says which image is wanted.
type Request struct {
	// Registry and Repository are where the image is: "index.docker.io" and
	// "library/ubuntu".
	Registry, Repository string
	// Digest of the manifest or index. What comes back is the same for ever.
	Digest string
	// Tag is for the reader of a build file while there is a digest. Without one
	// it is looked up, to be able to say which digest is missing.
	Tag string
	// Mirrors are asked first, in their order: hosts, possibly with a path that
	// goes before the repository.
	Mirrors []string
	// Platforms of an index that are wanted, as "os/architecture[/variant]". None:
	// all that it has.
	Platforms []string
	// Nondistributable has [Write] fetch layers as well that are not to be distributed.
	Nondistributable bool
	// Transport carries the requests. Defaults to remote.DefaultTransport.
	Transport http.RoundTripper
}

// Image is the metadata of one platform's image.
type Image struct {
	// blobs are where [Write] has the layers from.
	blobs blobs

	Platform v1.Platform
	digest   v1.Hash
	// manifest and config are the exact bytes that the registry has.
	manifest, config []byte
	Layers           []layer.Metadata

	// listed is what the index says that lists the image, configured what its configured does.
	listed, configured v1.Platform

	image            v1.Image
	nondistributable bool
}

// Pull fetches the metadata of the image, or of each wanted image of an index.
// Registries are spoken to with the options given, a keychain say.
func Pull(ctx context.Context, request Request, options ...remote.Option) ([]Image, error) {
	watched := &pages{inner: request.Transport}
	if watched.inner == nil {
		watched.inner = remote.DefaultTransport
	}
	options = append(slices.Clip(options), remote.WithTransport(watched), remote.WithContext(ctx))
	what := request.Registry + "/" + request.Repository
	if request.Digest == "" {
		return nil, fmt.Errorf("pull %s: %w", what, missingDigest(request, options))
	}
	if _, err := v1.NewHash(request.Digest); err != nil {
		return nil, fmt.Errorf("pull %s: digest %q must be sha256:<64 hexadecimal digits>", what, request.Digest)
	}
	places, err := request.places()
	if err != nil {
		return nil, fmt.Errorf("pull %s: %w", what, err)
	}
	puller, err := remote.NewPuller(options...)
	if err != nil {
		return nil, fmt.Errorf("pull %s: %w", what, err)
	}
	var failures []error
	for _, place := range places {
		images, err := pullFrom(place, request, options)
		if err == nil {
			for i := range images {
				images[i].blobs = blobs{ctx: ctx, puller: puller, places: startingWith(place, places), pages: watched}
				addSources(images[i].Layers, places)
				images[i].nondistributable = request.Nondistributable
			}
			return images, nil
		}
		failures = append(failures, watched.explain(err))
	}
	return nil, fmt.Errorf("pull %s: %w", what, errors.Join(failures...))
}

// places are the repositories that should have the image, the mirrors' first.
func (r Request) places() ([]name.Repository, error) {
	var places []name.Repository
	for _, host := range append(slices.Clone(r.Mirrors), r.Registry) {
		place, err := name.NewRepository(strings.TrimSuffix(host, "/") + "/" + r.Repository)
		if err != nil {
			return nil, err
		}
		places = append(places, place)
	}
	return places, nil
}

// missingDigest is the error for a request without a digest. It holds what is to
// be written where the digest is missing.
func missingDigest(request Request, options []remote.Option) error {
	tag := request.Tag
	if tag == "" {
		tag = name.DefaultTag
	}
	places, err := request.places()
	if err != nil {
		return err
	}
	origin := places[len(places)-1]
	head, err := remote.Head(origin.Tag(tag), options...)
	if err != nil {
		return fmt.Errorf("a digest must be given, and the one of tag %q could not be looked up: %w", tag, err)
	}
	return fmt.Errorf("a digest must be given, because the tag %q may move. At present it is\n    digest = %q,", tag, head.Digest)
}

func pullFrom(place name.Repository, request Request, options []remote.Option) ([]Image, error) {
	found, err := remote.Get(place.Digest(request.Digest), options...)
	if err != nil {
		return nil, err
	}
	switch {
	case found.MediaType.IsImage():
		image, err := found.Image()
		if err != nil {
			return nil, err
		}
		one, err := metadata(image)
		if err != nil {
			return nil, err
		}
		if len(request.Platforms) > 0 && !slices.ContainsFunc(request.Platforms, one.is) {
			return nil, fmt.Errorf("%s is an image for %s only", request.Digest, one.Platform)
		}
		return []Image{one}, nil
	case found.MediaType.IsIndex():
		index, err := found.ImageIndex()
		if err != nil {
			return nil, err
		}
		return fromIndex(index, request)
	}
	return nil, fmt.Errorf("%s must be an image or an index, but is a %s", request.Digest, found.MediaType)
}

func fromIndex(index v1.ImageIndex, request Request) ([]Image, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if n := len(manifest.Manifests); n > pushspec.MaxManifests {
		return nil, fmt.Errorf("%s lists %d manifests, but must list at most %d", request.Digest, n, pushspec.MaxManifests)
	}
	var images []Image
	var has []string
	for _, d := range manifest.Manifests {
		if !d.MediaType.IsImage() {
			continue
		}
		listed := v1.Platform{}
		if d.Platform != nil {
			listed = *d.Platform
		}
		if settled(listed) && !request.wants(listed) {
			if runs(listed) {
				has = append(has, platform.Name(listed))
			}
			continue
		}
		one, err := fromEntry(index, d, listed)
		if err != nil {
			return nil, err
		}
		if one == nil {
			continue
		}
		has = append(has, platform.Name(one.Platform))
		if request.wants(one.Platform) {
			images = append(images, *one)
		}
	}
	for _, wanted := range request.Platforms {
		if !slices.ContainsFunc(images, func(i Image) bool { return i.is(wanted) }) {
			return nil, fmt.Errorf("%s has no image for %s, only for %s", request.Digest, wanted, strings.Join(has, ", "))
		}
	}
	if len(images) == 0 {
		return nil, fmt.Errorf("%s is an index without any image", request.Digest)
	}
	return images, nil
}

// wants tells whether the image for a platform of an index is to be pulled.
func (r Request) wants(p v1.Platform) bool {
	return runs(p) && (len(r.Platforms) == 0 || slices.ContainsFunc(r.Platforms, func(wanted string) bool { return isPlatform(p, wanted) }))
}

// fromEntry reads the metadata of an image that an index lists, or nil of what is no
// image to run.
func fromEntry(index v1.ImageIndex, d v1.Descriptor, listed v1.Platform) (*Image, error) {
	image, err := index.Image(d.Digest)
	if err != nil {
		return nil, err
	}
	if !settled(listed) {
		manifest, err := image.Manifest()
		if err != nil {
			return nil, err
		}
		if !manifest.Config.MediaType.IsConfig() {
			return nil, nil
		}
	}
	one, err := metadata(image)
	if errors.Is(err, errNoContainer) && !settled(listed) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	one.listed = listed
	one.configured = one.Platform
	one.Platform = platformOf(one.configured, listed)
	if !runs(one.Platform) {
		return nil, nil
	}
	return &one, nil
}

// errNoContainer says that what looks like an image is something else.
var errNoContainer = errors.New("is not a container image")

// metadata reads what is to be known of an image; the layers' sources are not
// set yet.
func metadata(image v1.Image) (Image, error) {
	one := Image{image: image}
	var err error
	if one.digest, err = image.Digest(); err != nil {
		return Image{}, err
	}
	if one.manifest, err = image.RawManifest(); err != nil {
		return Image{}, err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return Image{}, err
	}
	if size := max(int64(len(one.manifest)), manifest.Config.Size); size > pushspec.MaxDataSize {
		return Image{}, fmt.Errorf("%s has a manifest or a config of %d bytes, but it must have at most %s", one.digest, size, humanize.IBytes(pushspec.MaxDataSize))
	}
	if one.config, err = image.RawConfigFile(); err != nil {
		return Image{}, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return Image{}, err
	}
	if len(manifest.Layers) != len(config.RootFS.DiffIDs) {
		return Image{}, fmt.Errorf("%s %w: it has %d layers, but %d diff IDs in its config", one.digest, errNoContainer, len(manifest.Layers), len(config.RootFS.DiffIDs))
	}
	if p := config.Platform(); p != nil {
		one.Platform = *p
	}
	for i, d := range manifest.Layers {
		d.Data = nil
		one.Layers = append(one.Layers, layer.Metadata{Blob: pushspec.Blob{Descriptor: d}, DiffID: config.RootFS.DiffIDs[i]})
	}
	return one, nil
}

func addSources(layers []layer.Metadata, places []name.Repository) {
	for i := range layers {
		for _, place := range places {
			layers[i].Sources = append(layers[i].Sources, pushspec.Source{Repository: place.Name()})
		}
	}
}
