package sqldbtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// superuser owns the cluster. It needs no password: the cluster listens on
	// loopback, and holds nothing.
	superuser = "drayage"

	// startLimit bounds how long a cluster may take to come up.
	startLimit = 60 * time.Second

	// stopLimit bounds how long it may take to stop before it is killed.
	stopLimit = 20 * time.Second
)

// Cluster is a PostgreSQL server of one's own, in a temporary folder.
type Cluster struct {
	dir       string
	port      int
	options   Options
	owner     *syscall.Credential
	server    *exec.Cmd
	log       *bytes.Buffer
	exited    chan struct{}
	databases atomic.Int64
}

// Options say what a cluster is for.
type Options struct {
	// Durable has the server write to the disk at each commit. Tests that do not
	// kill the server do without.
	Durable bool

	// Bin is the folder of PostgreSQL's programs. Defaults to the one that
	// DRAYAGE_PG_BIN names, or else the newest that Debian's package has
	// installed.
	Bin string
}

// Start makes a cluster and waits until it answers. It runs as the user postgres
// when this process is root's, since PostgreSQL refuses to be run by root.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	owner, err := unprivileged()
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	dir, err := os.MkdirTemp("", "drayage-postgres-")
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	c := &Cluster{dir: dir, log: &bytes.Buffer{}, options: options, owner: owner}
	if err := c.start(ctx); err != nil {
		stopped := c.Stop() // so that nobody writes to the log any more
		return nil, errors.Join(fmt.Errorf("start PostgreSQL: %w\n%s", err, c.log), stopped)
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if c.owner != nil {
		if err := os.Chown(c.dir, int(c.owner.Uid), int(c.owner.Gid)); err != nil {
			return err
		}
	}
	initdb, err := c.program("initdb")
	if err != nil {
		return err
	}
	setup := exec.CommandContext(ctx, initdb, "--pgdata="+c.data(), "--username="+superuser, "--auth=trust",
		"--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
	c.prepare(setup)
	if err := setup.Run(); err != nil {
		return fmt.Errorf("initdb: %w", err)
	}

	if c.port, err = freePort(); err != nil {
		return err
	}
	return c.serve(ctx)
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

func (c *Cluster) program(name string) (string, error) {
	return find(cmp.Or(c.options.Bin, binFolder()), name)
}

// serve starts the server and waits until it answers.
func (c *Cluster) serve(ctx context.Context) error {
	program, err := c.program("postgres")
	if err != nil {
		return err
	}
	durable := "off"
	if c.options.Durable {
		durable = "on"
	}
	// It outlives the start: Stop ends it.
	c.server = exec.CommandContext(context.WithoutCancel(ctx), program, "-D", c.data(), "-p", strconv.Itoa(c.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "max_connections=200", "-c", "fsync="+durable, "-c", "shared_buffers=256MB")
	c.prepare(c.server)
	server, exited := c.server, make(chan struct{})
	if err := server.Start(); err != nil {
		return err
	}
	c.exited = exited
	go func() {
		// How it ended is of no interest: either it was stopped, or start says that
		// it does not answer.
		_ = server.Wait()
		close(exited)
	}()
	return c.answers(ctx)
}

func (c *Cluster) prepare(cmd *exec.Cmd) {
	cmd.Dir = c.dir
	cmd.Stdout, cmd.Stderr = c.log, c.log
	cmd.SysProcAttr = attributes(c.owner)
}

// answers waits until the server takes connections.
func (c *Cluster) answers(ctx context.Context) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := pgx.Connect(ctx, c.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-again.C:
		case <-c.exited:
			return errors.New("the server ended")
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		}
	}
}

// URL is the address of one of the cluster's databases.
func (c *Cluster) URL(database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s", superuser, c.port, database)
}

// NewDatabase makes a database and returns its URL: an empty one, or, with
// another database's URL, a copy of that, to which nobody may be connected.
func (c *Cluster) NewDatabase(ctx context.Context, template string) (string, error) {
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return "", fmt.Errorf("make database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	name := fmt.Sprintf("d%d", c.databases.Add(1))
	statement := "CREATE DATABASE " + name
	if template != "" {
		statement += " TEMPLATE " + path.Base(template)
	}
	if _, err := conn.Exec(ctx, statement); err != nil {
		return "", fmt.Errorf("make database: %w", err)
	}
	return c.URL(name), nil
}

// Stop ends the server and removes its folder.
func (c *Cluster) Stop() error {
	if err := c.Crash(); err != nil {
		return err
	}
	return os.RemoveAll(c.dir)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	address, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return int(address.Port()), nil
}
