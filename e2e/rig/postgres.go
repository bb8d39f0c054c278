package rig

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Postgres is a private PostgreSQL cluster.
type Postgres struct {
	*Process

	// URL names its database as drayaged's store does.
	URL string
}

// StartPostgres makes an empty PostgreSQL cluster and starts it.
func StartPostgres(t T) *Postgres {
	t.Helper()
	dir, address := TempDir(t), FreeAddress(t)
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(t.Context(), Tool(t, "initdb"),
		"--pgdata", data, "--username=drayage", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
	initdb.Env = append(os.Environ(), "TZ=UTC")
	asOrdinaryUser(t, initdb, dir)
	if output, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("make a PostgreSQL cluster: %v\n%s", err, output)
	}
	server := exec.Command(Tool(t, "postgres"), "-D", data, "-p", strconv.Itoa(port(t, address)),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200", "-c", "jit=off")
	asOrdinaryUser(t, server, dir)
	p := start(t, dir, "postgres", server)
	// It listens before it takes connections; that it is ready it says itself.
	p.ready(t, saying(p, "database system is ready to accept connections"))
	return &Postgres{Process: p, URL: "postgres://drayage@" + address + "/postgres?sslmode=disable"}
}
