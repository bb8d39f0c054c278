package main

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

// prepareHaul makes the work for the hauler. Specs are decoded as the work goes
// on, as the daemon does.
func prepareHaul(_ context.Context, p *plan) (func(context.Context) error, error) {
	images, repository := p.images()
	specs := make([][]byte, len(images))
	for i, made := range images {
		spec, err := makeSpec(made, p.Registry, repository(i), tag(i))
		if err != nil {
			return nil, err
		}
		specs[i] = spec
	}
	workers, address, name := p.Workers, p.CAS, p.Case
	return func(ctx context.Context) error {
		if file := os.Getenv("BENCH_CPUPROFILE"); file != "" {
			out, err := os.Create(file + "." + strings.ReplaceAll(name, " ", "-"))
			if err != nil {
				return err
			}
			defer out.Close()
			if err := pprof.StartCPUProfile(out); err != nil {
				return err
			}
			defer pprof.StopCPUProfile()
		}
		client, err := cas.Dial(address, cas.Options{})
		if err != nil {
			return err
		}
		defer client.Close()
		registries := registry.New(registry.Options{Keychain: authn.NewMultiKeychain()})
		defer registries.Close()
		hauler, err := haul.New(haul.Options{CAS: client, Registries: registries})
		if err != nil {
			return err
		}
		return each(ctx, len(specs), workers, func(ctx context.Context, i int) error {
			spec, err := pushspec.Decode(specs[i])
			if err != nil {
				return err
			}
			_, err = hauler.Haul(ctx, haul.Request{Spec: spec, Repository: spec.Destination.Repository, Tags: spec.Destination.Tags, Invocation: "bench"})
			return err
		})
	}, nil
}

func makeSpec(made image, registry, repository, tag string) ([]byte, error) {
	var manifest v1.Manifest
	if err := json.Unmarshal(made.Manifest, &manifest); err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	root := describe(types.OCIManifestSchema1, made.Manifest)
	root.Data = made.Manifest
	config := manifest.Config
	config.Data = made.Config
	spec := pushspec.Spec{
		SchemaVersion: pushspec.SchemaVersion,
		MediaType:     pushspec.MediaType,
		Target:        "//bench:" + tag,
		Destination:   pushspec.Destination{Registry: registry, Repository: repository, Tags: []string{tag}},
		Root:          root.Digest,
		Manifests:     []v1.Descriptor{root},
		Blobs:         []pushspec.Blob{{Descriptor: config}},
	}
	for _, layer := range made.Layers {
		spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: layer, Sources: []pushspec.Source{{CAS: layer.Digest.String()}}})
	}
	return spec.Encode()
}
