package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/dustin/go-humanize"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/load"
	"github.com/drayage/drayage/pushspec"
)

// loadFlags say what is loaded, and where to.
type loadFlags struct {
	specFlags

	names       []string
	platform    string
	wish        load.Wish
	snapshotter string
}

func newLoadCommand() *cobra.Command {
	var flags loadFlags
	command := &cobra.Command{
		Use:   "load SPEC...",
		Short: "Load images into containerd, docker or podman",
		Long: `Load the images of push specs into containerd, docker or podman on this machine.
bazel run of an image_load target runs this command.

drayage asks containerd what it has, and streams only the rest to it, from the remote
cache or from the registry of the base image. It does the same for a docker that keeps
its images in a containerd that it can reach. Any other docker, and podman, get the
whole image. Nothing is written to disk on the way.

An image gets the names that its spec pushes to, or those of --tag. Each name is
printed once its image is loaded.`,
		Example: `  drayage load --cas grpc://cache:9092 bazel-bin/app/push.pushspec.json --tag app:dev
  bazel run //app:load -- --platform linux/arm64`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, specs []string) error {
			return flags.load(command.Context(), command.OutOrStdout(), command.ErrOrStderr(), specs)
		},
	}
	f := command.Flags()
	f.SortFlags = false
	f.StringArrayVar(&flags.names, "tag", nil, "`NAME` to use instead of the spec's: app:dev, ghcr.io/acme/app:dev")
	f.StringVar(&flags.platform, "platform", "", "`os/architecture[/variant]` to load of an index, or all (default: "+load.HostPlatform()+"; an image without an index is loaded whatever its platform)")
	f.StringVar(&flags.wish.To, "to", cmp.Or(os.Getenv("DRAYAGE_LOAD_TO"), load.ToAuto),
		"where to load: containerd, docker, podman, or auto, which takes docker if its daemon answers, else containerd, else podman; DRAYAGE_LOAD_TO sets the default")
	f.StringVar(&flags.wish.Address, "address", os.Getenv("CONTAINERD_ADDRESS"), "load into the containerd at this `SOCKET`; CONTAINERD_ADDRESS sets the default, which is otherwise "+load.DefaultAddress)
	f.StringVar(&flags.wish.Namespace, "namespace", os.Getenv("CONTAINERD_NAMESPACE"), "containerd `NAMESPACE`; CONTAINERD_NAMESPACE sets the default, which is otherwise \""+load.DefaultNamespace+"\"")
	f.StringVar(&flags.snapshotter, "snapshotter", cmp.Or(os.Getenv("CONTAINERD_SNAPSHOTTER"), load.DefaultSnapshotter),
		"containerd snapshotter to unpack layers for; CONTAINERD_SNAPSHOTTER sets the default")
	flags.add(f)
	return command
}

func (f loadFlags) load(ctx context.Context, out, progress io.Writer, paths []string) error {
	in, err := f.open(paths, progress)
	if err != nil {
		return err
	}
	defer in.close()
	images, err := f.images(in)
	if err != nil {
		return err
	}
	to, err := load.ThisMachine().Choose(ctx, f.wish)
	if err != nil {
		return err
	}
	loader, closeLoader, err := f.loader(to, progress, in.logger)
	if err != nil {
		return err
	}
	defer closeLoader()
	var read atomic.Int64
	from := load.Sources{CAS: in.blobs, Instance: f.instance, Registries: in.registries, Read: &read}
	stop := report(ctx, func() {
		fmt.Fprintf(progress, "drayage: %s of layers read so far\n", humanize.IBytes(uint64(read.Load())))
	})
	defer stop()
	var failures []error
	for _, i := range images {
		result, err := loader.Load(ctx, i.image, i.names, from)
		if err != nil {
			failures = append(failures, fmt.Errorf("load %s: %w", i.target, f.advise(err)))
			continue
		}
		fmt.Fprintf(progress, "drayage: %s\n", did(i.names[0], result))
		for _, name := range i.names {
			if _, err := fmt.Fprintln(out, pinned(name, result.Root)); err != nil {
				return err
			}
		}
	}
	return errors.Join(failures...)
}

// named is an image and the names that it gets.
type named struct {
	target string
	image  *load.Image
	names  []string
}

// images are what the specs have to load. Specs of one image, under names in
// several repositories, are one.
func (f loadFlags) images(in *openSpecs) ([]*named, error) {
	var images []*named
	byRoot, byName := map[v1.Hash]*named{}, map[string]*named{}
	for _, spec := range in.specs {
		i := byRoot[spec.Root]
		if i == nil {
			image, err := load.Select(spec, f.platform)
			if err != nil {
				return nil, fmt.Errorf("load %s: %w", spec.Target, err)
			}
			in.blobs.prefer(image.Blobs)
			i = &named{target: spec.Target, image: image}
			byRoot[spec.Root] = i
			images = append(images, i)
		}
		names, err := f.namesOf(spec, in.vars)
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", spec.Target, err)
		}
		for _, name := range names {
			if other := byName[name]; other != nil && other != i {
				return nil, fmt.Errorf("nothing was loaded: %s and %s both use the name %s, but their images differ. Give each its own name, or load only one of them", other.target, i.target, name)
			}
			byName[name] = i
			if !slices.Contains(i.names, name) {
				i.names = append(i.names, name)
			}
		}
	}
	if len(f.names) > 0 && len(images) > 1 {
		return nil, fmt.Errorf("--tag names one image, but these specs have %d: load them one by one, or leave --tag out", len(images))
	}
	return images, nil
}

func (f loadFlags) namesOf(spec *pushspec.Spec, vars map[string]string) ([]string, error) {
	if len(f.names) == 0 {
		destination, err := spec.Destination.Stamp(vars)
		if err != nil {
			return nil, err
		}
		return load.Names(destination, spec.Root)
	}
	var names []string
	for _, text := range f.names {
		name, err := load.Name(text)
		if err != nil {
			return nil, fmt.Errorf("--tag: %w", err)
		}
		names = append(names, name)
	}
	return names, nil
}

// loader is either of the two ways to load.
type loader interface {
	Load(ctx context.Context, i *load.Image, names []string, from load.Sources) (load.Result, error)
}

func (f loadFlags) loader(to load.Choice, progress io.Writer, logger zerolog.Logger) (loader, func(), error) {
	if to.Program != "" {
		fmt.Fprintf(progress, "drayage: %s load: %s\n", to.Program, to.GivenUp)
		return load.Program{Path: to.Program, Output: progress}, func() {}, nil
	}
	fmt.Fprintf(progress, "drayage: containerd at %s, namespace %s\n", to.Address, to.Namespace)
	c, err := load.DialContainerd(load.Options{Address: to.Address, Namespace: to.Namespace, Snapshotter: f.snapshotter, Logger: logger})
	if err != nil {
		return nil, nil, err
	}
	return c, func() { _ = c.Close() }, nil
}

// did says what a load did.
func did(name string, r load.Result) string {
	text := fmt.Sprintf("%s: %s moved (%s), %d there", name, counted(r.Moved.Blobs, "blob", "blobs"), humanize.IBytes(uint64(r.Moved.Bytes)), r.There.Blobs)
	switch {
	case r.Unpacked != "":
		text += "; unpacked for " + r.Unpacked
	case r.NotUnpacked != "":
		text += "; not unpacked yet, containerd does so at first use: " + r.NotUnpacked
	}
	return text
}

// pinned is a name with the digest that it points to.
func pinned(name string, root v1.Hash) string {
	suffix := "@" + root.String()
	return strings.TrimSuffix(name, suffix) + suffix
}
