package registry_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/certpool/certtest"
	"github.com/drayage/drayage/internal/registry"
)

// secure is a registry over TLS on loopback, which has nothing; it notes what certificate
// and which headers it is shown.
func secure(t *testing.T, cert, key string, change func(*tls.Config)) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			who = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		s.notef("%s %s", who, r.Header.Get("X-Team"))
		w.WriteHeader(http.StatusNotFound)
	}))
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if change != nil {
		change(s.TLS)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	s.host = strings.TrimPrefix(s.URL, "https://")
	return s
}

// wantsClients makes a server ask for a certificate that an authority signed.
func wantsClients(t *testing.T, authority string) func(*tls.Config) {
	t.Helper()
	pem, err := os.ReadFile(authority)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, pool }
}

func copied(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEachRegistryHasItsOwnTLS(t *testing.T) {
	cert, key := certtest.SelfSigned(t, "registry")
	clientCert, clientKey := certtest.SelfSigned(t, "pusher")
	open, strict := secure(t, cert, key, nil), secure(t, cert, key, wantsClients(t, clientCert))
	dirs := []string{t.TempDir(), t.TempDir()}
	only := func(s *server, o registry.HostOptions) registry.Options {
		return registry.Options{Hosts: map[string]registry.HostOptions{s.host: o}, CertDirs: []string{}}
	}
	for _, row := range []struct {
		name string
		to   *server
		opts registry.Options
		want string
	}{
		{"an authority", open, only(open, registry.HostOptions{CA: cert}), ""},
		{"an authority and a certificate", strict, only(strict, registry.HostOptions{CA: cert, Cert: clientCert, Key: clientKey}), ""},
		{"no verification", open, only(open, registry.HostOptions{SkipVerify: true}), ""},
		{"another authority", open, only(open, registry.HostOptions{CA: clientCert}), "shows a certificate that is not trusted: "},
		{"no certificate", strict, only(strict, registry.HostOptions{CA: cert}), "set cert and key"},
		{"no verification, and no certificate", strict, only(strict, registry.HostOptions{SkipVerify: true}), "set cert and key"},
		{"certs.d", open, registry.Options{CertDirs: dirs}, ""},
		{"certs.d with a certificate", strict, registry.Options{CertDirs: dirs}, ""},
		{"a file that is not there", open, only(open, registry.HostOptions{CA: "/nowhere/ca.pem"}), "its settings cannot be used: ca: open /nowhere/ca.pem"},
		{"a file that is none", open, only(open, registry.HostOptions{CA: key}), "must contain at least one PEM certificate"},
		{"plain HTTP", open, only(open, registry.HostOptions{PlainHTTP: true}), "answered 400"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, d := range dirs {
				if err := os.RemoveAll(d); err != nil {
					t.Fatal(err)
				}
			}
			copied(t, cert, filepath.Join(dirs[0], open.host, "authority.crt"))
			copied(t, cert, filepath.Join(dirs[1], strict.host, "authority.crt"))
			copied(t, clientCert, filepath.Join(dirs[0], strict.host, "us.cert"))
			copied(t, clientKey, filepath.Join(dirs[0], strict.host, "us.key"))
			err := get(t, client(t, row.opts), row.to.host, "acme/app")
			if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Fatalf("got error %v, want %q", err, row.want)
			}
			if failed, ok := errors.AsType[*registry.Error](err); err != nil && (!ok || failed.Passing()) {
				t.Errorf("got error %v, want a final one", err)
			}
		})
	}
	for s, want := range map[*server]string{open: "nobody ", strict: "pusher "} {
		for _, got := range s.noted() {
			if got != want {
				t.Errorf("a registry was shown %q, want %q", got, want)
			}
		}
	}
}

func TestHalfACertificateInCertsDNamesWhatIsMissing(t *testing.T) {
	for name, want := range map[string]string{"us.cert": "us.key", "us.key": "us.cert"} {
		dir := t.TempDir()
		copied(t, os.Args[0], filepath.Join(dir, "registry.example:5000", name))
		err := head(t, client(t, registry.Options{CertDirs: []string{dir}}), "registry.example:5000", "acme/app")
		failed, ok := errors.AsType[*registry.Error](err)
		if !ok || failed.Passing() || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

func TestARegistryWhoseCertificateIsNotVerifiedIsSaidAloudEachTime(t *testing.T) {
	cert, key := certtest.SelfSigned(t, "registry")
	s := secure(t, cert, key, nil)
	log := &logged{}
	c := client(t, registry.Options{Logger: log.logger(), Hosts: map[string]registry.HostOptions{s.host: {SkipVerify: true}}})
	warnings := func() int {
		return strings.Count(log.String(), `"level":"warn","registry":"`+s.host+`"`)
	}
	if warnings() != 1 {
		t.Errorf("at the start the log says %s", log)
	}
	for i := range 2 {
		if err := head(t, c, s.host, "acme/app"); err != nil {
			t.Fatal(err)
		}
		s.CloseClientConnections()
		if warnings() != 2+i {
			t.Errorf("after %d connections the log says %s", i+1, log)
		}
	}
}

func TestHeadersGoToTheirRegistryAlone(t *testing.T) {
	var elsewhere []string
	storage := serve(t, func(_ *server, w http.ResponseWriter, r *http.Request) {
		elsewhere = append(elsewhere, r.Header.Get("X-Team"))
		if r.URL.Path == "/token" {
			fmt.Fprint(w, `{"token":"t"}`)
		}
	})
	s := serve(t, func(s *server, w http.ResponseWriter, r *http.Request) {
		s.notef("%s", r.Header.Get("X-Team"))
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token"`, storage.named()))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, storage.URL+"/blob", http.StatusTemporaryRedirect)
	})
	c := client(t, registry.Options{Hosts: map[string]registry.HostOptions{s.host: {Headers: map[string]string{"x-team": "acme"}}}})
	repo, err := c.Repository(s.host, "acme/app", registry.Caller{})
	if err != nil {
		t.Fatal(err)
	}
	_, digest := noise(1, 0)
	body, err := repo.ReadBlob(t.Context(), digest, 0)
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
	if got := strings.Join(s.noted(), ","); got != "acme,acme" || strings.Join(elsewhere, ",") != "," {
		t.Errorf("the registry saw %q, and others %q", got, elsewhere)
	}
}

func TestWhatARegistryPointsToIsTrustedByItsAuthorities(t *testing.T) {
	cert, key := certtest.SelfSigned(t, "registry")
	storage := secure(t, cert, key, nil)
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, storage.URL+"/blob", http.StatusTemporaryRedirect)
	}))
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	defer s.Close()
	host := strings.TrimPrefix(s.URL, "https://")
	c := client(t, registry.Options{Hosts: map[string]registry.HostOptions{host: {CA: cert}}, Attempts: 1})
	repo, err := c.Repository(host, "acme/app", registry.Caller{})
	if err != nil {
		t.Fatal(err)
	}
	_, digest := noise(1, 0)
	_, err = repo.ReadBlob(t.Context(), digest, 0)
	failed, ok := errors.AsType[*registry.Error](err)
	if !ok || failed.Status != http.StatusNotFound {
		t.Errorf("got error %v, want what the storage answers", err)
	}
}

func TestSettingsThatCannotBeAreNamed(t *testing.T) {
	cert, key := certtest.SelfSigned(t, "x")
	for _, row := range []struct {
		options registry.HostOptions
		want    string
	}{
		{registry.HostOptions{CA: cert, Cert: cert, Key: key, Headers: map[string]string{"X-A": "b"}, TokenService: "http://10.0.0.1:5001"}, ""},
		{registry.HostOptions{SkipVerify: true}, ""},
		{registry.HostOptions{Cert: cert}, "cert and key must be set together"},
		{registry.HostOptions{PlainHTTP: true, CA: cert}, "plain_http must not be set together"},
		{registry.HostOptions{CA: key}, "must contain at least one PEM certificate"},
		{registry.HostOptions{Cert: key, Key: cert}, "cert " + key},
		{registry.HostOptions{Headers: map[string]string{"Authorization": "Bearer x"}}, "headers: Authorization must not be set"},
		{registry.HostOptions{Headers: map[string]string{"host": "x"}}, "headers: Host must not be set"},
		{registry.HostOptions{Headers: map[string]string{"X A": "x"}}, `headers: "X A"`},
		{registry.HostOptions{Headers: map[string]string{"X-A": "x\r\ny: z"}}, `headers: "X-A"`},
		{registry.HostOptions{TokenService: "10.0.0.1:5001"}, "token_service:"},
		{registry.HostOptions{TokenService: "ftp://10.0.0.1"}, "token_service:"},
		{registry.HostOptions{TokenService: "http://u:p@10.0.0.1"}, "token_service:"},
		{registry.HostOptions{TokenService: "http://10.0.0.1/token"}, "token_service:"},
	} {
		err := row.options.Check()
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%+v: got error %v, want %q", row.options, err, row.want)
		}
	}
}
