package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/dustin/go-humanize"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/drayage/drayage/internal/copies"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/version"
	"github.com/drayage/drayage/pushspec"
)

// copyFlags say how images are copied from here.
type copyFlags struct {
	referrers bool
	tags      []string
	overwrite string
	byDaemon  bool
	daemon    string
	reached   registryFlags
	verbose   bool
}

func newCopyCommand() *cobra.Command {
	var flags copyFlags
	command := &cobra.Command{
		Use:   "copy SOURCE DESTINATION...",
		Short: "Copy an image between repositories, by digest",
		Long: `Copy an image or an index from one repository to others, byte for byte, with the
signatures and other artifacts that refer to it. SOURCE is HOST/REPOSITORY with :TAG,
@DIGEST or both; if both are given, the digest counts. A DESTINATION is
HOST/REPOSITORY[:TAG]. Without any tag, the image is copied by its digest alone.

Layers are mounted within one registry, and streamed between two. Nothing is written to
disk. A tag is written last, when everything else of the image is there. If a copy
fails, the others are still made, and the command exits with 1.`,
		Example: `  drayage copy ghcr.io/acme/staging/app@sha256:9f2c… ghcr.io/acme/app:v1.2.0 --overwrite never
  drayage copy staging.example/acme/app:candidate eu.example/acme/app us.example/acme/app --tag v1.2.0 --tag latest
  drayage copy staging.example/acme/app:candidate ghcr.io/acme/app:v1.2.0 --by-daemon`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(command *cobra.Command, args []string) error {
			return flags.copy(command.Context(), command.OutOrStdout(), command.ErrOrStderr(), args[0], args[1:])
		},
	}
	f := command.Flags()
	f.SortFlags = false
	f.StringArrayVar(&flags.tags, "tag", nil, "a `TAG` to write in every destination")
	f.BoolVar(&flags.referrers, "referrers", true, "also copy what refers to the image, such as signatures and bills of materials")
	f.StringVar(&flags.overwrite, "overwrite", string(pushspec.OverwriteAlways), "whether to move a tag that points to another image: always or never")
	f.BoolVar(&flags.byDaemon, "by-daemon", false, "let the daemon make the copies, with its credentials and with rows in its ledger; drayage wait waits for them")
	addDaemonFlag(command, &flags.daemon)
	flags.reached.add(f)
	f.BoolVarP(&flags.verbose, "verbose", "v", false, "log every request")
	return command
}

func (f copyFlags) copy(ctx context.Context, out, progress io.Writer, source string, to []string) error {
	from, err := copies.ParseReference(source)
	if err != nil {
		return fmt.Errorf("the source: %w", err)
	}
	destinations, err := copies.Destinations(to, f.tags, pushspec.Overwrite(f.overwrite))
	if err != nil {
		return err
	}
	if f.byDaemon {
		return f.ask(ctx, out, from, to)
	}
	level := zerolog.WarnLevel
	if f.verbose {
		level = zerolog.DebugLevel
	}
	logger := zerolog.New(zerolog.ConsoleWriter{Out: progress}).Level(level).With().Timestamp().Logger()
	hosts, err := f.reached.hosts()
	if err != nil {
		return err
	}
	registries := registry.New(registry.Options{Hosts: hosts, UserAgent: "drayage/" + version.String(), Logger: logger})
	defer registries.Close()
	var streamed atomic.Int64
	hauler, err := haul.New(haul.Options{Registries: registries, Logger: logger, Streamed: &streamed, Grace: -1})
	if err != nil {
		return err
	}
	image, err := copies.Read(ctx, from, copies.Options{Registries: registries, Referrers: f.referrers, Invocation: copyInvocation})
	if err != nil {
		return err
	}
	for _, gone := range image.Gone {
		logger.Warn().Str("digest", gone.String()).Msg("the registry lists a referrer that it does not have; the copy leaves it out")
	}
	c := &copying{image: image, hauler: hauler, out: out}
	stop := report(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		fmt.Fprintf(progress, "drayage: %d of %d copies made, %s of layers read so far\n", c.done, len(destinations), humanize.IBytes(uint64(streamed.Load())))
	})
	defer stop()
	return c.all(ctx, destinations)
}

const copyInvocation = "drayage copy"

// ask has the daemon make the copies.
func (f copyFlags) ask(ctx context.Context, out io.Writer, from copies.Reference, to []string) error {
	client, err := dial(f.daemon)
	if err != nil {
		return err
	}
	copied, err := client.Copy(ctx, operator.Copy{
		Source: from.String(), Destinations: to, Tags: f.tags, WithoutReferrers: !f.referrers, Overwrite: f.overwrite,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s@%s  copies: %d  referrers: %d  invocation: %s\n", from.Registry+"/"+from.Repository, copied.Digest, copied.Copies, copied.Referrers, copied.InvocationID)
	return err
}

// copying is one image on its way to several destinations.
type copying struct {
	image  *copies.Image
	hauler *haul.Hauler

	mu   sync.Mutex // of out and done
	out  io.Writer
	done int
}

// all copies to every destination, whatever comes of the others.
func (c *copying) all(ctx context.Context, destinations []pushspec.Destination) error {
	failures := make([]error, len(destinations))
	var g errgroup.Group
	g.SetLimit(pushesAtOnce)
	for i, destination := range destinations {
		g.Go(func() error {
			failures[i] = c.one(ctx, destination)
			return nil
		})
	}
	_ = g.Wait() // the failures are in their order
	return errors.Join(failures...)
}

func (c *copying) one(ctx context.Context, to pushspec.Destination) error {
	where := to.Registry + "/" + to.Repository
	spec, err := c.image.Spec(to)
	if err != nil {
		return fmt.Errorf("copy to %s: %w", where, err)
	}
	result, err := c.hauler.Haul(ctx, haul.Request{
		Spec: spec, Repository: to.Repository, Tags: to.Tags, KeepTags: to.KeepTags(), Invocation: copyInvocation, Copied: true,
	})
	if err != nil {
		return fmt.Errorf("copy to %s: %w", where, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done++
	_, err = fmt.Fprintf(c.out, "%s@%s  tags: %s  referrers: %d  %s\n", where, spec.Root, orNone(to.Tags), c.image.Referrers, summary(result))
	return err
}
