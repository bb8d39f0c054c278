package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/clock"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/version"
	"github.com/drayage/drayage/pushspec"
)

// pushFlags say how specs are pushed from here.
type pushFlags struct {
	cas, instance string
	headers       []string
	blobs         []string
	statusFiles   []string
	vars          []string
	casRegistry   bool
	verbose       bool
}

func newPushCommand() *cobra.Command {
	var flags pushFlags
	command := &cobra.Command{
		Use:   "push SPEC...",
		Short: "Push images from here, without a daemon",
		Long: `Push the images of push specs from here. What the registry lacks is streamed to it
from the remote cache, or from the registry of the base image; nothing is written
to disk. It is what bazel run does with an image_push target.

Layers that are at hand as files are given with --blob. Stamp variables are filled
in from --var, and from workspace status files.`,
		Example: `  drayage push --cas grpc://cache:9092 bazel-bin/app/push.pushspec.json
  bazel run //app:push -- --cas grpc://cache:9092`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, specs []string) error {
			return flags.push(command.Context(), command.OutOrStdout(), command.ErrOrStderr(), specs)
		},
	}
	f := command.Flags()
	f.SortFlags = false
	f.StringVar(&flags.cas, "cas", os.Getenv("DRAYAGE_CAS"), "address of the remote cache: grpc://, grpcs:// or unix:; the environment's DRAYAGE_CAS sets the default")
	f.StringVar(&flags.instance, "instance", "", "the build's --remote_instance_name")
	f.StringArrayVar(&flags.headers, "cas-header", nil, "NAME=value to send to the remote cache: an API key, say")
	f.StringArrayVar(&flags.blobs, "blob", nil, "file with the bytes of a layer")
	f.StringArrayVar(&flags.statusFiles, "status", nil, "workspace status file with stamp variables; later ones win")
	f.StringArrayVar(&flags.vars, "var", nil, "NAME=value of a stamp variable; wins over files")
	f.BoolVar(&flags.casRegistry, "cas-registry", false, "the registry reads the remote cache itself: send manifests and configs, and no layer")
	f.BoolVarP(&flags.verbose, "verbose", "v", false, "log each request")
	return command
}

func (f pushFlags) push(ctx context.Context, out, progress io.Writer, paths []string) error {
	vars, err := f.stampVariables()
	if err != nil {
		return err
	}
	specs := make([]*pushspec.Spec, len(paths))
	for i, path := range paths {
		if specs[i], err = readSpec(path); err != nil {
			return err
		}
	}
	level := zerolog.WarnLevel
	if f.verbose {
		level = zerolog.DebugLevel
	}
	logger := zerolog.New(zerolog.ConsoleWriter{Out: progress}).Level(level).With().Timestamp().Logger()

	blobs, closeBlobs, err := f.openBlobs(specs, logger)
	if err != nil {
		return err
	}
	defer closeBlobs()
	hauler, err := haul.New(haul.Options{
		CAS:        blobs,
		Registries: registry.New(registry.Options{UserAgent: "drayage/" + version.String(), Logger: logger}),
		Logger:     logger,
		// The build is over: what the cache lacks is not on its way.
		Grace: -1,
	})
	if err != nil {
		return err
	}
	p := pushes{flags: f, hauler: hauler, vars: vars, out: out}
	stop := p.report(ctx, progress, blobs, len(specs))
	defer stop()
	return p.all(ctx, specs)
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

// all pushes every spec, whatever comes of the others.
func (p *pushes) all(ctx context.Context, specs []*pushspec.Spec) error {
	failures := make([]error, len(specs))
	var g errgroup.Group
	g.SetLimit(pushesAtOnce)
	for i, spec := range specs {
		g.Go(func() error {
			failures[i] = p.one(ctx, spec)
			return nil
		})
	}
	_ = g.Wait() // the failures are in their order
	return errors.Join(failures...)
}

func (p *pushes) one(ctx context.Context, spec *pushspec.Spec) error {
	destination, err := spec.Destination.Stamp(p.vars)
	if err != nil {
		return fmt.Errorf("push %s: %w", spec.Target, err)
	}
	where := destination.Registry + "/" + destination.Repository
	result, err := p.hauler.Haul(ctx, haul.Request{
		Spec: spec, Repository: destination.Repository, Tags: destination.Tags, Instance: p.flags.instance, Invocation: "drayage push",
		LayersInPlace: p.flags.casRegistry,
	})
	if err != nil {
		return fmt.Errorf("push %s to %s: %w", spec.Target, where, err)
	}
	did := fmt.Sprintf("%d blobs sent (%d bytes), %d mounted, %d there", result.Uploaded.Blobs, result.Uploaded.Bytes, result.Mounted.Blobs, result.Present.Blobs)
	if result.AlreadyThere {
		did = "there already"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	_, err = fmt.Fprintf(p.out, "%s@%s  tags: %s  %s\n", where, spec.Root, orNone(destination.Tags), did)
	return err
}

// report says now and then how far a long push is, until stop is called.
func (p *pushes) report(ctx context.Context, to io.Writer, blobs *blobFiles, images int) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		for clock.Wait(ctx, reportEvery) == nil {
			p.mu.Lock()
			fmt.Fprintf(to, "drayage: %d of %d images pushed, %d MiB of layers read so far\n", p.done, images, blobs.read.Load()>>20)
			p.mu.Unlock()
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

const reportEvery = 5 * time.Second

// openBlobs is where layers are read from: files first, then the remote cache.
func (f pushFlags) openBlobs(specs []*pushspec.Spec, logger zerolog.Logger) (*blobFiles, func(), error) {
	files, err := openBlobFiles(f.blobs, specs)
	if err != nil {
		return nil, nil, err
	}
	if f.cas == "" {
		return files, func() {}, nil
	}
	headers, err := pairs("--cas-header", f.headers)
	if err != nil {
		return nil, nil, err
	}
	client, err := cas.Dial(f.cas, cas.Options{Headers: headers, Logger: logger})
	if err != nil {
		return nil, nil, fmt.Errorf("--cas: %w", err)
	}
	files.otherwise = client
	return files, func() { _ = client.Close() }, nil
}

// stampVariables are those of the status files, and the given ones over them.
func (f pushFlags) stampVariables() (map[string]string, error) {
	vars := map[string]string{}
	for _, path := range f.statusFiles {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("--status: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
			vars[name] = value
		}
	}
	given, err := pairs("--var", f.vars)
	if err != nil {
		return nil, err
	}
	maps.Copy(vars, given)
	return vars, nil
}

func readSpec(path string) (*pushspec.Spec, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read push spec: %w", err)
	}
	spec, err := pushspec.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return spec, nil
}

func orNone(tags []string) string {
	if len(tags) == 0 {
		return "none"
	}
	return strings.Join(tags, ", ")
}
