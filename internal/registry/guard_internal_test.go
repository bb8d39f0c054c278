package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/net/dns/dnsmessage"
)

// resolver asks a name server of the test's own. It answers with the addresses that the
// function gives, of which an absent name has none.
func resolver(t *testing.T, addresses func(name string) []string) *net.Resolver {
	t.Helper()
	server, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		packet := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(packet)
			if err != nil {
				return // the test is over
			}
			if answer, ok := dnsAnswer(packet[:n], addresses); ok {
				_, _ = server.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func dnsAnswer(query []byte, addresses func(name string) []string) ([]byte, bool) {
	var message dnsmessage.Message
	if err := message.Unpack(query); err != nil || len(message.Questions) != 1 {
		return nil, false
	}
	asked := message.Questions[0]
	answer := dnsmessage.Message{Header: dnsmessage.Header{ID: message.ID, Response: true, Authoritative: true}, Questions: message.Questions}
	found := addresses(strings.TrimSuffix(asked.Name.String(), "."))
	if found == nil {
		answer.RCode = dnsmessage.RCodeNameError
	}
	for _, text := range found {
		header := dnsmessage.ResourceHeader{Name: asked.Name, Class: dnsmessage.ClassINET}
		if address := netip.MustParseAddr(text); address.Is4() && asked.Type == dnsmessage.TypeA {
			answer.Answers = append(answer.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: address.As4()}})
		} else if address.Is6() && asked.Type == dnsmessage.TypeAAAA {
			answer.Answers = append(answer.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: address.As16()}})
		}
	}
	packed, err := answer.Pack()
	return packed, err == nil
}

// target is a server on loopback that counts who comes.
type target struct {
	host, port string
	asked      atomic.Int32
	// connected counts connections, of which some never become a request.
	connected atomic.Int32
}

func newTarget(t *testing.T, answer http.HandlerFunc) *target {
	t.Helper()
	target := &target{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target.asked.Add(1)
		answer(w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			target.connected.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	target.host = strings.TrimPrefix(server.URL, "http://")
	_, target.port, _ = strings.Cut(target.host, ":")
	return target
}

// exists answers as a registry that has every manifest.
func exists(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
	w.Header().Set("Content-Length", "2")
	w.WriteHeader(http.StatusOK)
}

// guarded is a client that goes to public addresses only.
func guarded(t *testing.T, opts Options) *Client {
	t.Helper()
	opts.PublicOnly, opts.Keychain, opts.CertDirs, opts.Attempts = true, authn.NewMultiKeychain(), []string{}, 1
	c := New(opts)
	t.Cleanup(c.Close)
	return c
}

func headOf(t *testing.T, c *Client, host string) error {
	t.Helper()
	repo, err := c.Repository(host, "acme/app", Caller{Invocation: "test"})
	if err != nil {
		return err
	}
	_, _, err = repo.Head(t.Context(), "v1")
	return err
}

func TestAHostAtAnInnerAddressIsAskedOnlyIfItIsNamed(t *testing.T) {
	inner := newTarget(t, exists)
	names := resolver(t, func(name string) []string {
		return map[string][]string{
			"inner.example": {"127.0.0.1"}, "mapped.example": {"::ffff:127.0.0.1"}, "meta.example": {"169.254.169.254"},
			"private.example": {"10.1.2.3"}, "both.example": {"169.254.169.254", "127.0.0.1"},
		}[name]
	})
	at := func(host string) string { return host + ":" + inner.port }
	for host, want := range map[string]string{
		at("127.0.0.1"):          "is at 127.0.0.1, an address of this machine",
		at("localhost"):          "an address of this machine",
		at("0.0.0.0"):            "is at 0.0.0.0, an address of this machine",
		at("[::ffff:127.0.0.1]"): "is at 127.0.0.1, an address of this machine",
		at("inner.example"):      "inner.example:" + inner.port + " is at 127.0.0.1, an address of this machine",
		at("INNER.example."):     "inner.example:" + inner.port + " is at 127.0.0.1",
		at("mapped.example"):     "is at 127.0.0.1",
		at("both.example"):       "is at ",
		"meta.example":           "meta.example:443 is at 169.254.169.254, a link-local address",
		"169.254.169.254":        "is at 169.254.169.254, a link-local address, or that of a cloud's metadata service",
		"100.100.100.200":        "an address of a private network",
		"private.example":        `is at 10.1.2.3, an address of a private network. If that is intended, add an entry with host: "private.example" to registries in the daemon's configuration`,
		at("2130706433"):         "looks like an IP address",
		at("0x7f000001"):         "looks like an IP address",
		at("127.1"):              "looks like an IP address",
		at("0177.0.0.1"):         "looks like an IP address",
	} {
		err := headOf(t, guarded(t, Options{resolver: names}), host)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want it to say %q", host, err, want)
		}
		if failed := asError(err); failed != nil && failed.Passing() {
			t.Errorf("%s: it would be tried again: %v", host, err)
		}
	}
	if n := inner.connected.Load(); n != 0 {
		t.Errorf("the server had %d connections", n)
	}
	for asked, named := range map[string]string{
		at("127.0.0.1"): at("127.0.0.1"), at("[::ffff:127.0.0.1]"): at("127.0.0.1"), at("Inner.Example."): at("inner.example"), at("mapped.example"): at("mapped.example"),
	} {
		before := inner.asked.Load()
		hosts := map[string]HostOptions{named: {PlainHTTP: true}}
		if err := headOf(t, guarded(t, Options{resolver: names, Hosts: hosts}), asked); err != nil || inner.asked.Load() == before {
			t.Errorf("%s, with %s named: %v", asked, named, err)
		}
	}
	if err := headOf(t, guarded(t, Options{Named: []string{inner.host}}), inner.host); err != nil {
		t.Errorf("named without options: %v", err)
	}
	if err := headOf(t, guarded(t, Options{Hosts: map[string]HostOptions{"127.0.0.1:1": {}}}), inner.host); err == nil {
		t.Error("another port of a host that is named was asked")
	}
}

// There is nothing between the check and the connection: each address is looked at when it
// is connected to.
func TestANameThatChangesItsAddressIsLookedAtEachTime(t *testing.T) {
	inner := newTarget(t, exists)
	var asked atomic.Int32
	names := resolver(t, func(string) []string {
		if asked.Add(1)%4 < 2 { // A and AAAA
			return []string{"203.0.113.7"}
		}
		return []string{"127.0.0.1"}
	})
	c := guarded(t, Options{resolver: names})
	g, ok := c.opts.Transport.(*guard)
	if !ok {
		t.Fatalf("the transport is %T", c.opts.Transport)
	}
	g.dialer.Timeout = 50 * time.Millisecond // nobody is at the public address
	refused := 0
	for range 6 {
		err := headOf(t, c, "rebinding.example:"+inner.port)
		if err == nil {
			t.Fatal("the server was reached")
		}
		if strings.Contains(err.Error(), "is at 127.0.0.1") {
			refused++
		}
	}
	if n := inner.connected.Load(); n != 0 || refused == 0 {
		t.Errorf("the server had %d connections, and %d were refused", n, refused)
	}
}

func TestARegistryDoesNotLeadToInnerAddresses(t *testing.T) {
	inner, named := newTarget(t, exists), newTarget(t, exists)
	names := resolver(t, func(name string) []string {
		return map[string][]string{"inner.example": {"127.0.0.1"}}[name]
	})
	var to atomic.Value
	public := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, fmt.Sprint(to.Load()), http.StatusTemporaryRedirect)
	})
	c := guarded(t, Options{resolver: names, Hosts: map[string]HostOptions{public.host: {}, named.host: {}}})
	repo, err := c.Repository(public.host, "acme/app", Caller{Invocation: "test"})
	if err != nil {
		t.Fatal(err)
	}
	digest := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}
	for location, want := range map[string]string{
		"http://" + inner.host + "/blob":                 "is at 127.0.0.1, an address of this machine",
		"http://inner.example:" + inner.port + "/blob":   "is at 127.0.0.1, an address of this machine",
		"http://inner.example.:" + inner.port + "/blob":  "is at 127.0.0.1, an address of this machine",
		"http://[::ffff:7f00:1]:" + inner.port + "/blob": "is at 127.0.0.1, an address of this machine",
		"http://169.254.169.254/latest/meta-data/":       "is at 169.254.169.254, a link-local address",
	} {
		to.Store(location)
		body, err := repo.ReadBlob(t.Context(), digest, 0)
		if err == nil {
			_ = body.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("to %s: error is %v, want it to say %q", location, err, want)
		}
	}
	if n := inner.connected.Load(); n != 0 {
		t.Errorf("the server had %d connections", n)
	}
	to.Store("http://" + named.host + "/blob")
	body, err := repo.ReadBlob(t.Context(), digest, 0)
	if err != nil {
		t.Fatalf("to a host that is named, from one that is: %v", err)
	}
	_ = body.Close()
}

// A registry that nobody named cannot use what the configuration has for others: neither
// that they may be asked, nor their headers.
func TestAHostThatIsNotNamedDoesNotLeadToOneThatIs(t *testing.T) {
	named := newTarget(t, exists)
	c := guarded(t, Options{Hosts: map[string]HostOptions{named.host: {Headers: map[string]string{"X-Secret": "secret"}}, "named.example": {}}})
	for home, allowed := range map[string]bool{"stranger.example": false, "named.example": true, named.host: true} {
		before := named.asked.Load()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+named.host+"/blob", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&route{client: c, home: &endpoint{host: home, transport: c.opts.Transport}}).RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		if (err == nil) != allowed || (named.asked.Load() > before) != allowed {
			t.Errorf("from %s: %v", home, err)
		}
	}
}

func TestATokenServiceAtAnInnerAddressIsNotAsked(t *testing.T) {
	service := newTarget(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"token":"good"}`) })
	names := resolver(t, func(name string) []string {
		return map[string][]string{"token.example": {"127.0.0.1"}}[name]
	})
	realm := "http://token.example:" + service.port
	registry := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer good" {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="x"`, realm))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		exists(w, r)
	})
	c := guarded(t, Options{resolver: names, Hosts: map[string]HostOptions{registry.host: {}}})
	err := headOf(t, c, registry.host)
	if err == nil || !strings.Contains(err.Error(), "token service token.example:"+service.port) || !strings.Contains(err.Error(), "is at 127.0.0.1") || service.connected.Load() != 0 {
		t.Errorf("error is %v, after %d connections", err, service.connected.Load())
	}
	c = guarded(t, Options{resolver: names, Hosts: map[string]HostOptions{registry.host: {TokenService: realm}}})
	if err := headOf(t, c, registry.host); err != nil || service.asked.Load() == 0 {
		t.Errorf("with the service in the settings: %v", err)
	}
}

// A proxy resolves names itself. What is known of them here is looked at before it is asked.
func TestAProxyIsNotAskedForInnerAddresses(t *testing.T) {
	var through atomic.Value
	proxy := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
		through.Store(r.URL.Host)
		exists(w, r)
	})
	names := resolver(t, func(name string) []string {
		return map[string][]string{"inner.example": {"127.0.0.1"}}[name]
	})
	address, err := url.Parse("http://" + proxy.host)
	if err != nil {
		t.Fatal(err)
	}
	plain := HostOptions{PlainHTTP: true}
	for host, want := range map[string]string{
		"inner.example:5000": "inner.example:5000 is at 127.0.0.1", "10.1.2.3:5000": "is at 10.1.2.3", "localhost:5000": "an address of this machine",
		"only.the.proxy.example:5000": "", "named.example:5000": "",
	} {
		hosts := map[string]HostOptions{"named.example:5000": plain}
		c := guarded(t, Options{resolver: names, Hosts: hosts, proxy: http.ProxyURL(address)})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		before := proxy.asked.Load()
		resp, err := c.opts.Transport.RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		if want == "" && (err != nil || through.Load() != host) || want != "" && (err == nil || !strings.Contains(err.Error(), want) || proxy.asked.Load() != before) {
			t.Errorf("%s: error is %v, and the proxy was asked for %v", host, err, through.Load())
		}
	}
}

func TestAnAddressThatIsNotPublicIsKnown(t *testing.T) {
	for text, inner := range map[string]bool{
		"8.8.8.8": false, "2606:4700::1111": false, "172.15.0.1": false, "172.32.0.1": false, "100.63.0.1": false, "100.128.0.1": false,
		"64:ff9b::808:808": false, "2002:808:808::1": false, "::ffff:8.8.8.8": false, "192.0.1.1": false,
		"127.0.0.1": true, "127.255.255.254": true, "::1": true, "::ffff:127.0.0.1": true, "::127.0.0.1": true, "0.0.0.0": true, "0.1.2.3": true, "::": true,
		"10.0.0.1": true, "172.16.0.1": true, "172.31.255.255": true, "192.168.1.1": true, "100.64.0.1": true, "100.100.100.200": true,
		"169.254.169.254": true, "fe80::1": true, "fe80::1%lo": true, "febf::1": true, "fec0::1": true, "fd00:ec2::254": true, "fc00::1": true,
		"192.0.0.192": true, "168.63.129.16": true, "224.0.0.1": true, "ff02::1": true, "255.255.255.255": true, "240.0.0.1": true,
		"64:ff9b::7f00:1": true, "64:ff9b::a9fe:a9fe": true, "64:ff9b:1::1": true, "2002:7f00:1::": true, "2001::1": true,
	} {
		if kind := addressKind(netip.MustParseAddr(text)); (kind != "") != inner {
			t.Errorf("%s is %q", text, kind)
		}
	}
}

// Without a policy all is as it was.
func TestAClientWithoutAGuardGoesAnywhere(t *testing.T) {
	inner := newTarget(t, exists)
	c := New(Options{Keychain: authn.NewMultiKeychain(), CertDirs: []string{}})
	t.Cleanup(c.Close)
	if err := headOf(t, c, inner.host); err != nil {
		t.Error(errors.Unwrap(err), err)
	}
}
