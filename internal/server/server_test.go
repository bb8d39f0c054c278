package server_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/server"
)

func config(t *testing.T) server.Config {
	t.Helper()
	c := server.Defaults()
	c.Listen, c.HTTP = "127.0.0.1:0", "127.0.0.1:0"
	c.Store = filepath.Join(t.TempDir(), "drayage.db")
	c.CAS.Address = "grpc://127.0.0.1:1" // nothing is asked of it
	c.ShutdownGrace = 5 * time.Second
	return c
}

func start(t *testing.T, c server.Config) *server.Daemon {
	t.Helper()
	d, err := server.Start(t.Context(), c, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestDaemonServesAndStops(t *testing.T) {
	d := start(t, config(t))
	response, err := http.Get("http://" + d.HTTP + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("readyz is %s", response.Status)
	}

	conn, err := grpc.NewClient(d.Listen, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	health, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if health.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("health is %s", health.Status)
	}

	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	for _, address := range []string{d.Listen, d.HTTP} {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			t.Errorf("%s still answers", address)
		}
	}
	select {
	case err := <-d.Failed():
		t.Errorf("a stop is no failure: %v", err)
	default:
	}
}

func TestDaemonComesBackToItsStore(t *testing.T) {
	c := config(t)
	if err := start(t, c).Stop(); err != nil {
		t.Fatal(err)
	}
	start(t, c)
}

func TestDaemonThatCannotStartSaysWhyAndLeavesNothingBehind(t *testing.T) {
	running := start(t, config(t))
	for _, row := range []struct {
		name, want string
		change     func(*server.Config)
	}{
		{"an address in use", "listen for build events: ", func(c *server.Config) { c.Listen = running.Listen }},
		{"an HTTP address in use", "listen for HTTP: ", func(c *server.Config) { c.HTTP = running.HTTP }},
		{"a store that cannot be", "store", func(c *server.Config) { c.Store = "/proc/none/drayage.db" }},
		{"a cache that is none", "cas.address: ", func(c *server.Config) { c.CAS.Address = "ftp://cache" }},
		{"a backend that is none", "backend", func(c *server.Config) { c.Backends = []server.Backend{{Address: "ftp://bes"}} }},
		{"a backend that is itself", "backend", func(c *server.Config) {
			c.Listen = freeAddress(t)
			c.Backends = []server.Backend{{Address: "grpc://" + c.Listen}}
		}},
		{"a log key that is not there", "ledger.key_file: ", func(c *server.Config) { c.Ledger.KeyFile = "none.key" }},
		{"a webhook without its secret", "webhooks[0]: secret_file: ", func(c *server.Config) {
			c.Webhooks = []server.Webhook{{Name: "chat", URL: "https://chat.example", SecretFile: "none"}}
		}},
		{"a webhook whose secret is not base64", "webhooks[0]: secret_file: the text after whsec_", func(c *server.Config) {
			file := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(file, []byte("whsec_!"), 0o600); err != nil {
				t.Fatal(err)
			}
			c.Webhooks = []server.Webhook{{Name: "chat", URL: "https://chat.example", SecretFile: file}}
		}},
		{"a certificate that is not there", "tls: ", func(c *server.Config) { c.TLS = server.TLS{Cert: "none.pem", Key: "none.pem"} }},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := config(t)
			row.change(&c)
			_, err := server.Start(t.Context(), c, zerolog.Nop())
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Fatalf("error is %v, want it to contain %q", err, row.want)
			}
			if row.name == "a store that cannot be" {
				return
			}
			c2 := config(t)
			c2.Store = c.Store
			start(t, c2) // the store was let go of
		})
	}
}

func TestDaemonComparesItsLedgerWithTheRegistriesByItself(t *testing.T) {
	c := config(t)
	c.Verify.Every = time.Hour
	d := start(t, c)
	client, err := operator.NewClient("http://"+d.HTTP, operator.Login{})
	if err != nil {
		t.Fatal(err)
	}
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	limit := time.After(20 * time.Second)
	for {
		last, err := client.LastVerification(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !last.Ended.IsZero() {
			return
		}
		select {
		case <-poll.C:
		case <-limit:
			t.Fatalf("no comparison has ended: %+v", last)
		}
	}
}
