package bes_test

import (
	"net"
	"strings"
	"testing"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/bes/bestest"
)

func TestBackendThatIsTheRelayItselfIsRefused(t *testing.T) {
	for backend, listen := range map[string]string{
		"grpc://127.0.0.1:9090":   "127.0.0.1:9090",
		"grpc://localhost:9090":   "127.0.0.1:9090",
		"grpc://127.0.0.1:9091":   "0.0.0.0:9091",
		"grpc://localhost:9092":   "[::]:9092",
		"unix:/run/drayaged.sock": "/run/drayaged.sock",
	} {
		_, err := bes.New(bes.Config{Listen: []string{listen}, Backends: []bes.Backend{{Address: backend}}})
		if err == nil || !strings.Contains(err.Error(), "own") {
			t.Errorf("backend %s of a relay on %s: %v, want it to be refused", backend, listen, err)
		}
	}
	for backend, listen := range map[string]string{
		"grpc://127.0.0.1:9090": "127.0.0.1:9091",
		"grpc://192.0.2.1:9090": "0.0.0.0:9090",
		"unix:/run/other.sock":  "/run/drayaged.sock",
	} {
		service, err := bes.New(bes.Config{Listen: []string{listen}, Backends: []bes.Backend{{Address: backend}}})
		if err != nil {
			t.Errorf("backend %s of a relay on %s: %v", backend, listen, err)
			continue
		}
		if err := service.Shutdown(testContext(t)); err != nil {
			t.Error(err)
		}
	}
}

func TestLoopThatNoAddressShowsIsFound(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	r := startRelayAt(t, address, bes.Config{Backends: []bes.Backend{{Address: "grpc://" + address, Mode: bes.Required}}})
	_, outcome := upload(t, r, someEvents(3))
	wantExit(t, outcome, bestest.ExitPermanent)
	if !strings.Contains(outcome.Err.Error(), "leads back to the relay") {
		t.Errorf("Bazel sees %v", outcome.Err)
	}
}
