package bes_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/bes/bestest"
	"github.com/drayage/drayage/internal/certpool"
	"github.com/drayage/drayage/internal/certpool/certtest"
)

func TestBackendOverMutualTLSWithACredentialHelper(t *testing.T) {
	certFile, keyFile := certtest.SelfSigned(t, "test")
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := certpool.Read(certFile)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bestest.StartBackend(bestest.Script{}, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	helper := filepath.Join(t.TempDir(), "helper")
	script := `#!/bin/sh
[ "$1" = get ] && grep -q 'https://127.0.0.1.*PublishBuildEvent' && echo '{"headers": {"Authorization": ["Bearer fresh"]}}'
`
	if err := os.WriteFile(helper, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	r := startRelay(t, bes.Config{Backends: []bes.Backend{{
		Address: "grpcs://" + b.HostPort, Mode: bes.Required, CredentialHelper: helper,
		TLS: bes.TLS{CAFile: certFile, CertFile: certFile, KeyFile: keyFile},
	}}})
	bazel, outcome := upload(t, r, someEvents(9))
	wantExit(t, outcome, bestest.ExitOK)
	wantStored(t, b, bazel)
	for _, md := range b.Headers() {
		if got := strings.Join(md.Get("authorization"), ","); got != "Bearer fresh" {
			t.Errorf("authorization is %q, want the helper's", got)
		}
	}
}

func TestMistakesInABackendStopTheStart(t *testing.T) {
	certFile, keyFile := certtest.SelfSigned(t, "test")
	for text, backend := range map[string]bes.Backend{
		"must be given":     {Name: "x"},
		"must be grpc://":   {Address: "http://127.0.0.1:1"},
		"must have a port":  {Address: "grpc://127.0.0.1"},
		"no such file":      {Address: "grpcs://127.0.0.1:1", TLS: bes.TLS{CAFile: "/nowhere/ca.pem"}},
		"must contain at least one PEM certificate": {Address: "grpcs://127.0.0.1:1", TLS: bes.TLS{CAFile: keyFile}},
		"given together":    {Address: "grpcs://127.0.0.1:1", TLS: bes.TLS{CertFile: certFile}},
	} {
		_, err := bes.New(bes.Config{Backends: []bes.Backend{backend}})
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v, want an error that says %q", backend, err, text)
		}
	}
}
