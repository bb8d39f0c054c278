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
	// Platform of the image, as "os/architecture[/variant]". The platform of a base
	// wins.
	Platform string

	// The fields below are those of the OCI config. A field that is not set keeps the
	// value of the base.

	// Fragment is a part of a config as JSON, for settings that have no field here:
	// {"config": {"Healthcheck": …}}. The fields below win over it. May be nil.
	Fragment []byte
	// Entrypoint replaces the entrypoint and the command of the base. With
	// InheritFromBase in it, the command stays.
	Entrypoint []string
	// Cmd replaces the command of the base. InheritFromBase in Entrypoint or Cmd stands
	// for the words of the base.
	Cmd []string
	// Unset names fields of the base to remove: Entrypoint, Cmd, User, WorkingDir or
	// StopSignal.
	Unset []string
	// UnsetEnv and UnsetLabels name variables and labels of the base to remove; *
	// stands for any letters. Env and Labels are set after that.
	UnsetEnv, UnsetLabels []string
	// Env holds "NAME=value". A variable that the base has keeps its position. In a
	// value, ${NAME} stands for the value of the base.
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
	// Created is the creation time of the image. Defaults to the fragment's, and then
	// to the epoch, so that every build of the same sources has the same time.
	Created time.Time
}

// InheritFromBase is a word in an entrypoint or a command that stands for the words
// of the base. rules/private/inherit.bzl has the same text.
const InheritFromBase = "<inherit from base>"

// Base is the metadata of an image to build upon.
type Base struct {
	Manifest []byte
	Config   []byte
	// Platform is the platform, as JSON, in the index that lists the image. It counts
	// where the config says nothing. May be nil.
	Platform []byte
}

// Image is an assembled image: the exact bytes to push.
type Image struct {
	Manifest []byte
	Config   []byte
	// Platform is that of [Base], for an image that was not assembled here.
	Platform []byte
}

// Assemble makes the image. The same spec gives the same bytes. What the spec does
// not change stays as it is in the base.
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
		return Image{}, fmt.Errorf("write config: %d bytes are over the limit of %s; shorten labels, annotations or history", len(image.Config), humanize.IBytes(MaxDocument))
	}
	if image.Manifest, err = writeManifest(image.Config, d.layers, spec.Annotations); err != nil {
		return Image{}, fmt.Errorf("write manifest: %w", err)
	}
	return image, nil
}

// Describe returns the descriptor of data, without the data.
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
