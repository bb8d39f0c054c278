// Command drayaged is the daemon: a build event service that forwards every
// event to the real one and pushes the images that the stream names.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/drayage/internal/heap"
	"github.com/drayage/drayage/internal/server"
	"github.com/drayage/drayage/internal/version"
)

func main() {
	os.Exit(execute())
}

// execute is the whole program; it returns the exit code.
func execute() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newCommand(os.Stderr).ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "drayaged: %v\n", err)
		return 1
	}
	return 0
}

const long = `drayaged stands between Bazel and its build event service.

It forwards every build event unchanged. It finds the push specs that image_push
targets leave in the stream, and copies the images that they name from the remote
cache to the registries. Pushes survive a restart, and a ledger records every digest.

Point Bazel at it with

  build --bes_backend=grpc://127.0.0.1:9090
  build --remote_cache=grpc://cache.example:9092

A YAML file (--config) can hold every setting. The flags below set some of them, and
win over the file. SIGTERM or Ctrl-C stops drayaged: it accepts no new streams, gives
open streams and running pushes shutdown_grace to finish, and continues unfinished
pushes at the next start.`

const example = `  # a cache, and no other build event service behind the daemon
  drayaged --cas grpc://127.0.0.1:9092

  # in front of a real build event service, with the database in a file of your choice
  drayaged --cas grpc://cache:9092 --backend grpcs://bes.example.com --store /var/lib/drayage/drayage.db

  # all settings from a file; only check them
  drayaged --config /etc/drayage/drayaged.yaml --check`

func newCommand(stderr io.Writer) *cobra.Command {
	config := server.Defaults()
	var file string
	var check bool
	var backends []string

	command := &cobra.Command{
		Use:           "drayaged",
		Short:         "Push container images as a side effect of Bazel builds",
		Long:          long,
		Example:       example,
		Version:       version.String(),
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := load(command.Flags(), &config, file, &backends); err != nil {
				return err
			}
			if err := config.Check(); err != nil {
				return fmt.Errorf("configuration: %w", err)
			}
			if check {
				fmt.Fprintln(command.OutOrStdout(), "The configuration is valid.")
				return nil
			}
			return run(command.Context(), config, stderr)
		},
	}

	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVarP(&file, "config", "c", "", "YAML `FILE` with the settings (see docs/configuration.md)")
	flags.AddFlagSet(newFlags(&config, &backends))
	flags.BoolVar(&check, "check", false, "check the configuration and exit")
	return command
}

// newFlags are the flags that set what keys of the file set too; the key is in
// brackets.
func newFlags(config *server.Config, backends *[]string) *pflag.FlagSet {
	flags := pflag.NewFlagSet("drayaged", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.StringVar(&config.Listen, "listen", config.Listen, "`ADDRESS` of the gRPC server, for --bes_backend (listen)")
	flags.StringVar(&config.HTTP, "http", config.HTTP, "`ADDRESS` of the pages, the JSON API, health and metrics (http)")
	flags.StringVar(&config.CAS.Address, "cas", config.CAS.Address, "`ADDRESS` of the remote cache: grpc://HOST:PORT, grpcs://… or unix:PATH (cas.address)")
	flags.StringArrayVar(backends, "backend", nil, "`ADDRESS` of a BES backend to forward to, best effort; may be given more than once (backends)")
	flags.StringVar(&config.Store, "store", config.Store, "`DATABASE` for jobs and ledger: an SQLite file or a postgres:// URL (store)")
	flags.IntVar(&config.Workers, "workers", config.Workers, "how many images to push at the same time (workers)")
	flags.DurationVar(&config.ShutdownGrace, "shutdown-grace", config.ShutdownGrace, "how long a stop waits for open streams and running pushes (shutdown_grace)")
	flags.BoolVar(&config.AllowPlaintext, "allow-plaintext", config.AllowPlaintext, "allow listening on other hosts than loopback without TLS (allow_plaintext)")
	flags.StringVar(&config.Log.Level, "log-level", config.Log.Level, "log level: debug, info, warn or error (log.level)")
	flags.StringVar(&config.Log.Format, "log-format", config.Log.Format, "log format: json or console (log.format)")
	return flags
}

// load reads the file over the flags' defaults, and sets the flags that were
// given once more over the file.
func load(flags *pflag.FlagSet, config *server.Config, file string, backends *[]string) error {
	if file != "" {
		given := map[string]string{}
		flags.Visit(func(f *pflag.Flag) {
			if f.Name != "backend" {
				given[f.Name] = f.Value.String()
			}
		})
		if err := config.LoadFile(file); err != nil {
			return err
		}
		for name, value := range given {
			if err := flags.Set(name, value); err != nil {
				return fmt.Errorf("--%s: %w", name, err)
			}
		}
	}
	if len(*backends) > 0 {
		config.Backends = nil
		for _, address := range *backends {
			config.Backends = append(config.Backends, server.Backend{Address: address})
		}
	}
	return nil
}

// run serves until the context ends, and then drains.
func run(ctx context.Context, config server.Config, stderr io.Writer) error {
	logger, err := newLogger(config.Log, stderr)
	if err != nil {
		return err
	}
	defer heap.Floor(heap.DaemonFloor)()
	config.Version = version.String()
	daemon, err := server.Start(ctx, config, logger)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		logger.Info().Dur("grace", config.ShutdownGrace).Msg("stopping")
	case err := <-daemon.Failed():
		logger.Error().Err(err).Msg("stopping")
		return errors.Join(err, daemon.Stop())
	}
	return daemon.Stop()
}

func newLogger(config server.Log, stderr io.Writer) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(strings.ToLower(config.Level))
	if err != nil {
		return zerolog.Nop(), fmt.Errorf("log.level: %w", err)
	}
	if config.Format == "console" {
		stderr = zerolog.ConsoleWriter{Out: stderr, TimeFormat: time.TimeOnly, NoColor: !colored(stderr)}
	}
	return zerolog.New(stderr).Level(level).With().Timestamp().Logger(), nil
}

// colored says whether out is a terminal whose user has not asked for plain text
// (no-color.org).
func colored(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	return isatty.IsTerminal(file.Fd())
}
