package bes_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/bes/bestest"
)

// selfSigned writes a certificate for 127.0.0.1 that is its own authority.
func selfSigned(t *testing.T) (certFile, keyFile string, pair tls.Certificate, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if pair, err = tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	return certFile, keyFile, pair, pool
}

func TestBackendOverMutualTLSWithACredentialHelper(t *testing.T) {
	certFile, keyFile, pair, pool := selfSigned(t)
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
	certFile, keyFile, _, _ := selfSigned(t)
	for text, backend := range map[string]bes.Backend{
		"no address":          {Name: "x"},
		"is not grpc://":      {Address: "http://127.0.0.1:1"},
		"has no port":         {Address: "grpc://127.0.0.1"},
		"no such file":        {Address: "grpcs://127.0.0.1:1", TLS: bes.TLS{CAFile: "/nowhere/ca.pem"}},
		"no certificate in":   {Address: "grpcs://127.0.0.1:1", TLS: bes.TLS{CAFile: keyFile}},
		"needs both its file": {Address: "grpcs://127.0.0.1:1", TLS: bes.TLS{CertFile: certFile}},
	} {
		_, err := bes.New(bes.Config{Backends: []bes.Backend{backend}})
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v, want an error that says %q", backend, err, text)
		}
	}
}
