package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/pushspec"
)

// pushFlags say how specs are pushed from here.
type pushFlags struct {
	specFlags

	casRegistry bool
	approved    bool
}

func newPushCommand() *cobra.Command {
	var flags pushFlags
	command := &cobra.Command{
		Use:   "push SPEC...",
		Short: "Push images from this machine, without a daemon",
		Long: `Push the images of push specs from this machine. bazel run of an image_push target runs
this command.

drayage streams what the registry lacks from the remote cache, or from the registry of
the base image. Nothing is written to disk. Layers on this machine are used before the
remote cache: those that a bazel run finds among the build's outputs, the files given
as --blob, and Bazel's disk cache given as --disk-cache.

Stamp variables get their values from --var and from workspace status files.

Tags whose gate is pushed or green are written: bazel run runs this command only after
a build that went well, and who runs it by hand says so. With several specs, the tags
whose gate is green or approved are written once all the images are in their
registries. Tags whose gate is approved need --approved.`,
		Example: `  drayage push --cas grpc://cache:9092 bazel-bin/app/push.pushspec.json
  bazel run //app:push -- --cas grpc://cache:9092`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, specs []string) error {
			return flags.push(command.Context(), command.OutOrStdout(), command.ErrOrStderr(), specs)
		},
	}
	f := command.Flags()
	f.SortFlags = false
	flags.add(f)
	f.BoolVar(&flags.casRegistry, "cas-registry", false, "the registry reads the remote cache itself: send manifests and configs, but no layers")
	f.BoolVar(&flags.approved, "approved", false, "write tags whose gate is approved, too: you approve them")
	return command
}

func (f pushFlags) push(ctx context.Context, out, progress io.Writer, paths []string) error {
	in, err := f.open(paths, progress)
	if err != nil {
		return err
	}
	defer in.close()
	if err := conflicts(in.specs, in.vars); err != nil {
		return err
	}
	if !f.approved {
		if err := unapproved(in.specs); err != nil {
			return err
		}
	}
	hauler, err := haul.New(haul.Options{
		CAS:        in.blobs,
		Registries: in.registries,
		Logger:     in.logger,
		// The build is over: what the cache lacks is not on its way.
		Grace: -1,
	})
	if err != nil {
		return err
	}
	p := pushes{flags: f, hauler: hauler, vars: in.vars, out: out}
	stop := report(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		fmt.Fprintf(progress, "drayage: %d of %d images pushed, %s of layers read so far\n", p.done, len(in.specs), humanize.IBytes(uint64(in.blobs.read.Load())))
	})
	defer stop()
	return p.all(ctx, in.specs)
}

// pushes are images that are pushed together, so that what they share is sent once.
type pushes struct {
	flags  pushFlags
	hauler *haul.Hauler
	vars   map[string]string

	mu   sync.Mutex // of out and done
	out  io.Writer
	done int
}

// pushesAtOnce bounds the images that are pushed at the same time.
const pushesAtOnce = 8

// all pushes every spec, whatever comes of the others. Tags behind a gate move when all
// images are there.
func (p *pushes) all(ctx context.Context, specs []*pushspec.Spec) error {
	waiting := behindGate(specs)
	if len(waiting) == 0 || len(specs) == 1 {
		return p.each(specs, func(spec *pushspec.Spec) error { return p.one(ctx, spec, nil) })
	}
	staged := map[*pushspec.Spec]*haul.Result{}
	err := p.each(specs, func(spec *pushspec.Spec) error {
		if !slices.Contains(waiting, spec) {
			return p.one(ctx, spec, nil)
		}
		_, result, err := p.haul(ctx, spec, false)
		p.mu.Lock()
		defer p.mu.Unlock()
		staged[spec] = &result
		return err
	})
	if err != nil {
		return errors.Join(err, keptBack(waiting))
	}
	return p.each(waiting, func(spec *pushspec.Spec) error { return p.one(ctx, spec, staged[spec]) })
}

// each does something to every spec, several at a time. The error has those of all.
func (p *pushes) each(specs []*pushspec.Spec, do func(*pushspec.Spec) error) error {
	failures := make([]error, len(specs))
	var g errgroup.Group
	g.SetLimit(pushesAtOnce)
	for i, spec := range specs {
		g.Go(func() error {
			failures[i] = do(spec)
			return nil
		})
	}
	_ = g.Wait() // the failures are in their order
	return errors.Join(failures...)
}

// one pushes a spec, and says what became of it. If the image was brought before, staged
// is what that did.
func (p *pushes) one(ctx context.Context, spec *pushspec.Spec, staged *haul.Result) error {
	destination, result, err := p.haul(ctx, spec, true)
	if err != nil {
		return err
	}
	if staged != nil {
		staged.AlreadyThere = staged.AlreadyThere && result.AlreadyThere
		result = *staged
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	_, err = fmt.Fprintf(p.out, "%s/%s@%s  tags: %s  %s\n", destination.Registry, destination.Repository, spec.Root, orNone(destination.Tags), summary(result))
	return err
}

// haul brings an image to its repository, with its tags or without.
func (p *pushes) haul(ctx context.Context, spec *pushspec.Spec, withTags bool) (pushspec.Destination, haul.Result, error) {
	destination, err := spec.Destination.Stamp(p.vars)
	if err != nil {
		return destination, haul.Result{}, fmt.Errorf("push %s: %w", spec.Target, err)
	}
	request := haul.Request{
		Spec: spec, Repository: destination.Repository, Instance: p.flags.instance, Invocation: "drayage push",
		LayersInPlace: p.flags.casRegistry,
	}
	if withTags {
		request.Tags, request.KeepTags = destination.Tags, destination.KeepTags()
	}
	result, err := p.hauler.Haul(ctx, request)
	if err != nil {
		err = fmt.Errorf("push %s to %s/%s: %w", spec.Target, destination.Registry, destination.Repository, p.flags.advise(err))
	}
	return destination, result, err
}

// summary says what became of an image's blobs.
func summary(result haul.Result) string {
	if result.AlreadyThere {
		return "already there"
	}
	return fmt.Sprintf("%d blobs sent (%s), %d mounted, %d there", result.Uploaded.Blobs, humanize.IBytes(uint64(result.Uploaded.Bytes)), result.Mounted.Blobs, result.Present.Blobs)
}

func orNone(tags []string) string {
	if len(tags) == 0 {
		return "none"
	}
	return strings.Join(tags, ", ")
}
