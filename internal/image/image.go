// Package image assembles OCI image manifests and configs from descriptors. It
// reads and writes metadata only: a few kilobytes, however large the image is.
package image

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/layer"
)

// Spec says what an image is made of.
type Spec struct {
	// Base is the image below, or nil.
	Base *Base
	// Layers are the layers on top of the base, the lowest first.
	Layers []layer.Metadata
	// Platform is the image's, as "os/architecture[/variant]". A base's own
	// platform wins.
	Platform string

	// What follows is the OCI config's; what is not set is the base's.

	// Fragment is a part of a config in its JSON, for what has no field below, which
	// win: {"config": {"Healthcheck": …}}. May be nil.
	Fragment []byte
	// Entrypoint replaces the base's, and its command with it, unless it has
	// InheritFromBase in it.
	Entrypoint []string
	// Cmd replaces the base's. An InheritFromBase in either stands for the base's words.
	Cmd []string
	// Unset names fields of the base that the image does not have: Entrypoint, Cmd, User,
	// WorkingDir or StopSignal.
	Unset []string
	// UnsetEnv and UnsetLabels name variables and labels of the base that the image does
	// not have; * stands for any letters. Those of Env and Labels are set after that.
	UnsetEnv, UnsetLabels []string
	// Env holds "NAME=value"; a name that the base sets too gets the new value in
	// the old place. In a value ${NAME} stands for what the base has.
	Env []string
	// Labels are added to the base's.
	Labels map[string]string
	// Annotations are the manifest's own.
	Annotations map[string]string
	User        string
	WorkingDir  string
	StopSignal  string
	// ExposedPorts are added to the base's: "8080" or "8080/tcp".
	ExposedPorts []string
	// Volumes are added to the base's.
	Volumes []string
	// Created is the time that the image bears. Defaults to the fragment's, and that to
	// the epoch: the same in every build of the same sources.
	Created time.Time
}

// InheritFromBase is a word of an entrypoint or a command that stands for those of
// the base. rules/private/inherit.bzl has the same.
const InheritFromBase = "<inherit from base>"

// Base is the metadata of an image to build upon.
type Base struct {
	Manifest []byte
	Config   []byte
	// Platform is what the index says that lists the image, as JSON. It holds where the
	// config says nothing. May be nil.
	Platform []byte
}

// Image is what was assembled: the exact bytes to be pushed.
type Image struct {
	Manifest []byte
	Config   []byte
	// Platform is as a base's: of an image that was not assembled here.
	Platform []byte
}

// Assemble makes the image. The same spec gives the same bytes, and what the base
// has and nothing here changes is in them as the base has it.
func Assemble(spec Spec) (Image, error) {
	d, err := begin(spec)
	if err != nil {
		return Image{}, err
	}
	created, err := d.merge(spec)
	if err != nil {
		return Image{}, err
	}
	if err := d.add(spec.Layers, created); err != nil {
		return Image{}, err
	}
	if err := d.configure(spec); err != nil {
		return Image{}, err
	}
	var image Image
	if image.Config, err = configForm.write(d.config); err != nil {
		return Image{}, fmt.Errorf("write config: %w", err)
	}
	if len(image.Config) > MaxDocument {
		return Image{}, fmt.Errorf("write config: %d bytes are over the limit of %s", len(image.Config), humanize.IBytes(MaxDocument))
	}
	if image.Manifest, err = writeManifest(image.Config, d.layers, spec.Annotations); err != nil {
		return Image{}, fmt.Errorf("write manifest: %w", err)
	}
	return image, nil
}

// Describe is the descriptor of data, without the data.
func Describe(mediaType types.MediaType, data []byte) v1.Descriptor {
	sum := sha256.Sum256(data)
	return v1.Descriptor{
		MediaType: mediaType,
		Size:      int64(len(data)),
		Digest:    v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])},
	}
}

// bare is a descriptor as manifests carry it.
func bare(d v1.Descriptor) v1.Descriptor {
	d.Data = nil
	return d
}

// orNil leaves an empty map out of the JSON.
func orNil(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}

// marshal writes JSON with nothing escaped that need not be, so that a label
// with an ampersand reads as it was written.
func marshal(v any) ([]byte, error) {
	return json.Marshal(v, written)
}
