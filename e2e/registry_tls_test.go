package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/certpool/certtest"
	"github.com/drayage/drayage/internal/ledger"
)

// servedOverTLS asks a registry for a tag, with a client's certificate, and returns the
// digest that it says.
func servedOverTLS(t *testing.T, host, repository, ca, cert, key string) string {
	t.Helper()
	pem, err := os.ReadFile(ca)
	check(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	pair, err := tls.LoadX509KeyPair(cert, key)
	check(t, err)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "https://"+host+"/v2/"+repository+"/manifests/v1", http.NoBody)
	check(t, err)
	request.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json")
	response, err := client.Do(request)
	check(t, err)
	response.Body.Close()
	return response.Header.Get("Docker-Content-Digest")
}

// A registry with a certificate of its own authority wants to see one of ours.
func TestARegistryWithItsOwnAuthorityIsPushedTo(t *testing.T) {
	t.Parallel()
	cert, key := certtest.SelfSigned(t, "registry")
	ours, oursKey := certtest.SelfSigned(t, "pusher")
	cache := rig.StartBazelRemote(t)
	target := rig.StartTLSRegistry(t, rig.RegistryTLS{Cert: cert, Key: key, ClientCA: ours})
	spec := faultyImage(t, cache, target.Host, "acme/app", "v1", faultyNoise(80, 200_000))
	row := func(tls string) string { return fmt.Sprintf("registries:\n- host: %q\n  tls: %s\n", target.Host, tls) }

	for name, c := range map[string]struct {
		file string
		want string
	}{
		"no authority":   {row("{cert: " + ours + ", key: " + oursKey + "}"), "shows a certificate that is not trusted"},
		"no certificate": {row("{ca: " + cert + "}"), "set cert and key for it"},
		"no file":        {row("{ca: /nowhere/ca.pem}"), "registries[0] (" + target.Host + "): ca: open /nowhere/ca.pem"},
		"not a setting":  {row("{verify: false}"), "line 3: verify is not a setting"},
	} {
		me := newUser(t)
		me.write(t, "registries.yaml", c.file, 0o600)
		began := time.Now()
		out, err := me.push(t, cache, spec, "--registries="+filepath.Join(me.dir, "registries.yaml"))
		if err == nil || !strings.Contains(out, c.want) || time.Since(began) > 20*time.Second {
			t.Errorf("%s: %v after %s\n%s\nwant %q", name, err, time.Since(began), out, c.want)
		}
	}

	pushed := func(name string, me user, flags ...string) string {
		out, err := me.push(t, cache, spec, flags...)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if got := servedOverTLS(t, target.Host, "acme/app", cert, ours, oursKey); got != spec.Root.String() {
			t.Errorf("%s: the registry serves %q, want %s", name, got, spec.Root)
		}
		return out
	}
	me := newUser(t)
	me.write(t, "registries.yaml", row("{ca: "+cert+", cert: "+ours+", key: "+oursKey+"}"), 0o600)
	if out := pushed("a file of settings", me, "--registries="+filepath.Join(me.dir, "registries.yaml")); strings.Contains(out, "not verified") {
		t.Errorf("a certificate that was verified is said not to be:\n%s", out)
	}

	me = newUser(t)
	for from, to := range map[string]string{cert: "ca.crt", ours: "us.cert", oursKey: "us.key"} {
		data, err := os.ReadFile(from)
		check(t, err)
		me.write(t, filepath.Join("config/containers/certs.d", target.Host, to), string(data), 0o600)
	}
	pushed("certs.d", me)

	me = newUser(t)
	me.write(t, "registries.yaml", row("{skip_verify: true, cert: "+ours+", key: "+oursKey+"}"), 0o600)
	settings := "--registries=" + filepath.Join(me.dir, "registries.yaml")
	if out := pushed("no verification", me, settings); !strings.Contains(out, "will not be verified") || !strings.Contains(out, "is not verified") {
		t.Errorf("a certificate that was not verified is not said aloud:\n%s", out)
	}
	doctor := exec.CommandContext(t.Context(), rig.Drayage(t), "doctor", target.Host, settings)
	doctor.Env = append(os.Environ(), me.env()...)
	out, err := doctor.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "the certificate is NOT verified") || !strings.Contains(string(out), "none found in "+filepath.Join(me.dir, ".docker/config.json")+" (not there)") {
		t.Errorf("doctor: %v\n%s", err, out)
	}
}

func TestTheDaemonReachesEachRegistryAsItsSettingsSay(t *testing.T) {
	t.Parallel()
	cert, key := certtest.SelfSigned(t, "registry")
	ours, oursKey := certtest.SelfSigned(t, "pusher")
	cache := rig.StartBazelRemote(t)
	strict := rig.StartTLSRegistry(t, rig.RegistryTLS{Cert: cert, Key: key, ClientCA: ours})
	lax, unknown := rig.StartTLSRegistry(t, rig.RegistryTLS{Cert: cert, Key: key}), rig.StartTLSRegistry(t, rig.RegistryTLS{Cert: cert, Key: key})
	other, _ := certtest.SelfSigned(t, "somebody else")
	daemon := rig.StartDrayaged(t, rig.DaemonConfig{CAS: cache.GRPC, More: map[string]any{"registries": []map[string]any{
		{"host": strict.Host, "tls": map[string]any{"ca": cert, "cert": ours, "key": oursKey}, "headers": map[string]string{"X-Team": "acme"}},
		{"host": lax.Host, "tls": map[string]any{"skip_verify": true}},
		{"host": unknown.Host, "tls": map[string]any{"ca": other}},
	}}})
	if !strings.Contains(daemon.Output(), "will not be verified") {
		t.Errorf("at the start the daemon says\n%s", daemon.Output())
	}
	workspace := rig.NewWorkspace(t)
	push := func(registry string) ledger.Entry {
		invocation := workspace.Bazel(t, "build", "--remote_cache="+cache.GRPC, "--bes_backend="+daemon.BES, "--@drayage//rules/settings:registry="+registry, "//:push_staging").Invocation
		daemon.WaitPushed(t, invocation, pushLimit)
		return byTarget(t, daemon.Ledger(t, ledger.Query{Invocation: invocation}))["//:push_staging"]
	}
	for name, registry := range map[string]*rig.Registry{"strict": strict, "lax": lax} {
		if row := push(registry.Host); row.Outcome != ledger.Pushed {
			t.Errorf("%s: %s: %s", name, row.Outcome, row.Error)
		}
	}
	if !strings.Contains(daemon.Output(), "is not verified, as its settings say") {
		t.Error("the daemon does not say that it did not verify a certificate")
	}
	row := push(unknown.Host)
	if row.Outcome != ledger.Failed || row.ErrorClass != "rejected" || row.Attempts != 1 || !strings.Contains(row.Error, "shows a certificate that is not trusted") {
		t.Errorf("an unknown authority: %s (%s) after %d attempts: %s", row.Outcome, row.ErrorClass, row.Attempts, row.Error)
	}
}
