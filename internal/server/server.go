package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"google.golang.org/grpc"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/bes/bep"
	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/casregistry"
	"github.com/drayage/drayage/internal/credentials"
	"github.com/drayage/drayage/internal/credhelper"
	"github.com/drayage/drayage/internal/dispatch"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/hostsettings"
	"github.com/drayage/drayage/internal/httpserver"
	"github.com/drayage/drayage/internal/keychain"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/internal/web"
	"github.com/drayage/drayage/pushspec"
)

// Daemon is a running drayaged.
type Daemon struct {
	config Config
	logger zerolog.Logger

	relay *bes.Service
	grpc  *grpc.Server
	http  *http.Server
	// images serves the registry in front of the cache, or nil.
	images   *http.Server
	registry *casregistry.Registry
	store    *store.Store
	access   access
	cas      *cas.Client
	// registries speaks to all registries.
	registries *registry.Client

	// Listen, HTTP and casRegistry are the addresses that are listened on; the last is
	// empty where there is no such registry.
	Listen, HTTP, casRegistry string

	// stopJobs ends the workers, which then finish or give back what they hold.
	stopJobs context.CancelFunc
	running  sync.WaitGroup
	failed   chan error
	stop     sync.Once
	stopErr  error
	mu       sync.Mutex
	stopping bool
}

// Start opens the store, listens, and serves. What goes wrong later is told by
// [Daemon.Failed]; whoever starts a daemon stops it.
func Start(ctx context.Context, config Config, logger zerolog.Logger) (*Daemon, error) {
	d := &Daemon{config: config, logger: logger, failed: make(chan error, 4)}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.Stop())
	}
	logger.Info().Str("version", config.Version).Str("bes", d.Listen).Str("http", d.HTTP).Str("cas", config.CAS.Address).Str("cas_registry", d.casRegistry).
		Int("backends", len(config.Backends)).Msg("drayaged has started")
	return d, nil
}

func (d *Daemon) start(ctx context.Context) error {
	security, err := d.config.TLS.load()
	if err != nil {
		return err
	}
	admitted, err := d.config.Policy.admission(true)
	if err != nil {
		return err
	}
	d.access = access{admission: admitted, refusals: dispatch.NewRefusals(d.logger)}
	// The addresses first: of two daemons with one configuration the second is to
	// fail before it touches the store.
	listen, err := net.Listen("tcp", d.config.Listen)
	if err != nil {
		return fmt.Errorf("listen for build events: %w", err)
	}
	closeListeners := []net.Listener{listen}
	defer func() {
		for _, l := range closeListeners {
			_ = l.Close()
		}
	}()
	pages, err := net.Listen("tcp", d.config.HTTP)
	if err != nil {
		return fmt.Errorf("listen for HTTP: %w", err)
	}
	closeListeners = append(closeListeners, pages)
	d.Listen, d.HTTP = listen.Addr().String(), pages.Addr().String()
	var images net.Listener
	if address := d.config.CASRegistry.Listen; address != "" {
		if images, err = net.Listen("tcp", address); err != nil {
			return fmt.Errorf("listen for the cache's registry: %w", err)
		}
		closeListeners = append(closeListeners, images)
		d.casRegistry = images.Addr().String()
	}
	for _, warning := range admitted.Warnings() {
		d.logger.Warn().Msg("policy: " + warning)
	}

	if err := d.openStore(ctx); err != nil {
		return err
	}
	if err := d.dialCache(); err != nil {
		return err
	}
	hauler, err := d.hauler()
	if err != nil {
		return err
	}
	hosts, err := d.makeHosts(ctx)
	if err != nil {
		return err
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), d.access.refusals.Count)
	if err := d.makeRelay(metrics); err != nil {
		return err
	}

	d.grpc = grpc.NewServer(slices.Concat(bes.ServerOptions(), d.access.serverOptions(), []grpc.ServerOption{grpc.Creds(security.grpc())})...)
	d.relay.Register(d.grpc)
	d.relay.RegisterHealth(d.grpc)
	d.http = httpserver.New(web.NewHandler(web.Options{
		Source: d.store, Copier: &dispatch.Copier{Registries: d.registries, Queue: d.store, Policy: d.access.admission, Logger: d.logger},
		Registries: hosts, Access: d.access, Ready: d.ready, Metrics: metrics, Version: d.config.Version, Logger: d.logger,
	}), d.config.httpOptions(d.config.HTTP, security))
	if images != nil {
		if err := d.makeCASRegistry(security); err != nil {
			return err
		}
	}
	worker := dispatch.NewWorker(dispatch.WorkerOptions{
		Specs: d.cas, Hauler: hauler, Invocations: d.store, Releases: d.store, Tags: d.store, Blobs: d.store,
		Policy: d.access.admission, Decodes: d.store, Hosts: hosts, Gate: pushspec.Gate(d.config.Release.Gate), Cache: d.config.CAS.Address,
		Workers: d.config.Workers, Version: d.config.Version, Logger: d.logger,
	})

	verifier := newVerifier(d.config.Verify, d.store, d.registries, d.logger)
	metrics.MustRegister(verifier.found, verifier.ended)

	closeListeners = nil // theirs now
	jobs, stopJobs := context.WithCancel(context.WithoutCancel(ctx))
	d.stopJobs = stopJobs
	d.running.Go(func() { hosts.Run(jobs) })
	if d.config.Verify.Every > 0 {
		d.running.Go(func() { verifier.run(jobs) })
	}
	d.run("do jobs", func() error { return d.store.Run(jobs, worker, d.config.Workers) })
	d.run("serve build events", func() error { return d.grpc.Serve(listen) })
	d.run("serve HTTP", func() error { return serveHTTP(d.http, pages) })
	if images != nil {
		d.run("serve the cache's registry", func() error { return serveHTTP(d.images, images) })
	}
	return nil
}

// serveHTTP serves until the server is shut down.
func serveHTTP(server *http.Server, listener net.Listener) error {
	serve := server.Serve
	if server.TLSConfig != nil {
		serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	}
	if err := serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (d *Daemon) dialCache() error {
	config := d.config.CAS
	options := cas.Options{Headers: config.Headers, Logger: d.logger}
	if config.CredentialHelper != "" {
		options.PerRPC = credhelper.PerRPC{
			Helper:   credhelper.New(config.CredentialHelper, nil),
			Insecure: !strings.HasPrefix(config.Address, "grpcs:"),
		}
	}
	var err error
	if d.cas, err = cas.Dial(config.Address, options); err != nil {
		return fmt.Errorf("cas.address: %w", err)
	}
	return nil
}

func (d *Daemon) hauler() (*haul.Hauler, error) {
	hosts, err := hostsettings.Options(d.config.Registries)
	if err != nil {
		return nil, err
	}
	var helper []authn.Keychain
	if path := d.config.RegistryCredentialHelper; path != "" {
		helper = append(helper, credentials.NewBazelHelper(path))
	}
	registries := registry.New(registry.Options{
		Keychain: keychain.New(helper...),
		Hosts:    hosts, UserAgent: "drayaged/" + d.config.Version, Logger: d.logger,
		// Without a policy whoever reaches the daemon is its owner, on this machine.
		PublicOnly: d.config.Policy != nil, Named: d.ownRegistry(),
	})
	d.registries = registries
	return haul.New(haul.Options{
		CAS: d.cas, Registries: registries, Logger: d.logger,
		Create: d.config.creates(),
		Grace:  cmp.Or(d.config.CAS.Grace, -1), // zero is a wish here, and the default there
	})
}

func (d *Daemon) makeRelay(metrics prometheus.Registerer) error {
	var backends []bes.Backend
	for _, b := range d.config.Backends {
		mode := bes.BestEffort
		if b.Mode == modeRequired {
			mode = bes.Required
		}
		backends = append(backends, bes.Backend{
			Name: b.Name, Address: b.Address, Mode: mode,
			Headers: b.Headers, PassHeaders: b.PassHeaders, CredentialHelper: b.CredentialHelper, Keepalive: b.Keepalive,
			TLS: bes.TLS{CAFile: b.TLS.CA, CertFile: b.TLS.Cert, KeyFile: b.TLS.Key, ServerName: b.TLS.ServerName},
		})
	}
	hold := dispatch.Hold{Always: d.config.Hold.Always, Limit: d.config.Hold.Limit, PassAtLimit: d.config.Hold.AtLimit == holdPass, Pushes: d.store}
	scan := bep.Options{OutputGroup: pushspec.OutputGroup, FileSuffix: pushspec.FileSuffix}
	observer := dispatch.NewObserver(dispatch.ObserverOptions{
		Queue: d.store, Scan: scan, Hold: hold, Client: d.access.stream, MayPush: d.access.admission.MayPush, Refusals: d.access.refusals, Logger: d.logger,
	})
	var err error
	d.relay, err = bes.New(bes.Config{
		Backends:         backends,
		Listen:           []string{d.Listen},
		Observer:         observer,
		ObserveHeaders:   []string{tokenHeader},
		Owner:            d.access.owner,
		MaxStreams:       d.config.Relay.MaxStreams,
		MaxClientStreams: d.config.Limits.ClientStreams,
		Client:           d.access.client,
		Refused:          d.access.refusedStream,
		FirstMessage:     d.config.Limits.FirstEvent,
		ReplayBytes:      d.config.Relay.ReplayBytes,
		ReplayBytesTotal: d.config.Relay.ReplayBytesTotal,
		SpoolDir:         d.config.Relay.SpoolDir,
		SpoolBytes:       d.config.Relay.SpoolBytes,
		Linger:           d.config.Relay.Linger,
		DeliverTimeout:   d.config.Relay.DeliverTimeout,
		Metrics:          metrics,
		Logger:           d.logger,
	})
	return err
}

// run does work until it ends; an error is the daemon's.
func (d *Daemon) run(what string, work func() error) {
	d.running.Go(func() {
		if err := work(); err != nil {
			d.failed <- fmt.Errorf("%s: %w", what, err)
		}
	})
}

// Failed tells of an error after which the daemon should be stopped.
func (d *Daemon) Failed() <-chan error { return d.failed }

func (d *Daemon) ready() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopping {
		return errors.New("stopping")
	}
	return nil
}

// Stop takes no new streams, lets what is under way finish within the
// configuration's grace, and closes the store. Streams that are cut are sent
// again by Bazel; jobs that are not done are done after the next start.
func (d *Daemon) Stop() error {
	d.stop.Do(func() { d.stopErr = d.shutDown() })
	return d.stopErr
}

func (d *Daemon) shutDown() error {
	d.mu.Lock()
	d.stopping = true
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), d.config.ShutdownGrace)
	defer cancel()

	if d.stopJobs != nil {
		d.stopJobs()
	}
	if d.relay != nil {
		d.stopStreams(ctx)
	}
	for _, server := range []*http.Server{d.http, d.images} {
		if server == nil {
			continue
		}
		if err := server.Shutdown(ctx); err != nil {
			_ = server.Close()
		}
	}
	d.running.Wait()

	var errs []error
	if d.registry != nil {
		errs = append(errs, d.registry.Close())
	}
	if d.cas != nil {
		errs = append(errs, d.cas.Close())
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	d.logger.Info().Msg("drayaged has stopped")
	return nil
}

// stopStreams says GOAWAY to new streams while those that are open finish.
func (d *Daemon) stopStreams(ctx context.Context) {
	var graceful sync.WaitGroup
	if d.grpc != nil {
		graceful.Go(d.grpc.GracefulStop)
	}
	if err := d.relay.Shutdown(ctx); err != nil {
		d.logger.Warn().Err(err).Msg("open streams were cut off; Bazel will send them again")
	}
	if d.grpc != nil {
		d.grpc.Stop()
	}
	graceful.Wait()
}
