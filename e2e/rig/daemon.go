package rig

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
)

// DaemonConfig is the part of drayaged's configuration that tests vary. The
// addresses to listen on are rig's choice.
type DaemonConfig struct {
	// CAS is the remote cache: grpc://HOST:PORT.
	CAS string
	// Backends are what events are forwarded to.
	Backends []DaemonBackend
	// Store is the database. Empty means an SQLite file of the daemon's own.
	Store string
	// More holds further settings by their key in the configuration file.
	More map[string]any
	// Env is added to its environment: NAME=value.
	Env []string
}

// DaemonBackend is one entry of drayaged's backends.
type DaemonBackend struct {
	Name    string `yaml:"name,omitempty"`
	Address string `yaml:"address"`
	Mode    string `yaml:"mode,omitempty"`
}

// Daemon is a drayaged. It may be killed and started again: it keeps its
// addresses and its store.
type Daemon struct {
	*Process

	// BES is its address as Bazel's --bes_backend names it.
	BES string
	// URL is the base of its pages and its API.
	URL string
	// Dir holds its configuration, its store and its output.
	Dir string

	program string
	env     []string
}

// StartDrayaged starts the checkout's drayaged.
func StartDrayaged(t T, config DaemonConfig) *Daemon {
	t.Helper()
	dir, listen, http := TempDir(t), FreeAddress(t), FreeAddress(t)
	settings := map[string]any{
		"listen": listen,
		"http":   http,
		"store":  filepath.Join(dir, "drayage.db"),
		"cas":    map[string]any{"address": config.CAS},
		"log":    map[string]any{"level": "debug"},
	}
	if len(config.Backends) > 0 {
		settings["backends"] = config.Backends
	}
	if config.Store != "" {
		settings["store"] = config.Store
	}
	maps.Copy(settings, config.More)
	text, err := yaml.Marshal(settings)
	if err != nil {
		t.Fatalf("write drayaged's configuration: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "drayaged.yaml"), text, 0o600); err != nil {
		t.Fatalf("write drayaged's configuration: %v", err)
	}
	d := &Daemon{BES: "grpc://" + listen, URL: "http://" + http, Dir: dir, program: Drayaged(t), env: config.Env}
	d.Start(t)
	return d
}

// Start starts the daemon again, after Kill or Stop.
func (d *Daemon) Start(t T) {
	t.Helper()
	cmd := exec.Command(d.program, "--config", filepath.Join(d.Dir, "drayaged.yaml"))
	cmd.Env = append(os.Environ(), d.env...)
	d.Process = start(t, d.Dir, "drayaged", cmd)
	d.ready(t, answering(d.URL+"/readyz"))
}

// API is a client of the daemon's API.
func (d *Daemon) API(t T) *operator.Client {
	t.Helper()
	client, err := operator.NewClient(d.URL, operator.Login{})
	if err != nil {
		t.Fatalf("make a client of the daemon: %v", err)
	}
	return client
}

// WaitPushed waits until the daemon has the whole stream of an invocation and
// nothing of it is left to push.
func (d *Daemon) WaitPushed(t T, invocation string, limit time.Duration) operator.Invocation {
	t.Helper()
	api := d.API(t)
	var last operator.Invocation
	WaitFor(t, limit, "the pushes of invocation "+invocation, func() error {
		var err error
		last, err = api.Invocation(t.Context(), invocation)
		switch {
		case err != nil:
			return err
		case !last.Finished:
			return fmt.Errorf("its stream is not finished")
		case last.Pending > 0:
			return fmt.Errorf("%d pushes are pending", last.Pending)
		}
		return nil
	})
	return last
}

// Ledger is what the daemon's ledger holds for a query, the newest row first.
func (d *Daemon) Ledger(t T, query ledger.Query) []ledger.Entry {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readyTimeout)
	defer cancel()
	page, err := d.API(t).Ledger(ctx, query)
	if err != nil {
		t.Fatalf("read the ledger: %v", err)
	}
	return page.Entries
}
