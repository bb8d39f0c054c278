package server_test

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	buildv1 "google.golang.org/genproto/googleapis/devtools/build/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/internal/certpool"
	"github.com/drayage/drayage/internal/certpool/certtest"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/server"
)

const secret = "0123456789abcdef01234567"

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ask reads and steers, and returns what was said against either.
func ask(t *testing.T, url string, login operator.Login) (read, operate string) {
	t.Helper()
	client, err := operator.NewClient(url, login)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Jobs(t.Context(), "", 0, 1); err != nil {
		read = err.Error()
	}
	if _, err := client.Retry(t.Context(), operator.Selection{All: true}); err != nil {
		operate = err.Error()
	}
	return read, operate
}

func TestThePolicySaysWhoReadsAndWhoOperates(t *testing.T) {
	c := config(t)
	token := write(t, "token", secret+"\n")
	c.Policy = &server.Policy{
		Tokens: []server.PolicyToken{{Name: "ops", SecretFile: token}}, Read: []string{"address:127.0.0.1", "token:ops"}, Operate: []string{"token:ops"},
	}
	url := "http://" + start(t, c).HTTP
	if read, operate := ask(t, url, operator.Login{}); read != "" || !strings.Contains(operate, "address:127.0.0.1 is not in the daemon's policy.operate; show a token") {
		t.Errorf("without a token: %q, %q", read, operate)
	}
	if read, operate := ask(t, url, operator.Login{Token: token}); read != "" || operate != "" {
		t.Errorf("with a token: %q, %q", read, operate)
	}
	if read, _ := ask(t, url, operator.Login{Token: write(t, "wrong", "another")}); !strings.Contains(read, "unknown token") {
		t.Errorf("with a wrong token: %q", read)
	}

	c = config(t)
	c.Policy = &server.Policy{Tokens: []server.PolicyToken{{Name: "ops", SecretFile: token}}, Read: []string{"token:*"}}
	url = "http://" + start(t, c).HTTP
	if read, _ := ask(t, url, operator.Login{}); !strings.Contains(read, "policy.read") {
		t.Errorf("a reader that is not one: %q", read)
	}
	if _, operate := ask(t, url, operator.Login{Token: token}); !strings.Contains(operate, "token:ops is not in the daemon's policy.operate") {
		t.Errorf("nobody may operate where nobody is named: %q", operate)
	}
	for path, want := range map[string]int{"/": http.StatusUnauthorized, "/metrics": http.StatusUnauthorized, "/healthz": http.StatusOK, "/readyz": http.StatusOK} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		for _, password := range []string{"", secret} {
			if password != "" {
				request.SetBasicAuth("anybody", password) // as browsers do
				want = http.StatusOK
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("%s with password %q answers %s, want %d", path, password, response.Status, want)
			}
			if asks := response.Header.Get("WWW-Authenticate") != ""; asks != (want == http.StatusUnauthorized) {
				t.Errorf("%s with password %q asks for one: %t", path, password, asks)
			}
		}
	}
}

func TestACertificateNamesAClient(t *testing.T) {
	cert, key := certtest.SelfSigned(t, "ops.acme.example")
	c := config(t)
	c.TLS = server.TLS{Cert: cert, Key: key, ClientCA: cert}
	c.Policy = &server.Policy{Read: []string{"certificate:*.acme.example"}, Operate: []string{"certificate:ops.*"}}
	address := start(t, c).HTTP
	url := "https://" + address
	if read, operate := ask(t, url, operator.Login{CA: cert, Cert: cert, Key: key}); read != "" || operate != "" {
		t.Errorf("with the certificate: %q, %q", read, operate)
	}
	if read, operate := ask(t, url, operator.Login{CA: cert}); read == "" || operate == "" {
		t.Errorf("without a certificate: %q, %q", read, operate)
	}
	if said := listen(t, address, cert); !strings.Contains(said, "certificate required") {
		t.Errorf("without a certificate the daemon says %q", said)
	}
	if read, _ := ask(t, url, operator.Login{}); !strings.Contains(read, "certificate") {
		t.Errorf("without the authority: %q", read)
	}
}

// listen connects without a certificate and returns why the daemon ends the connection.
// A client that sends at once may find it closed before it reads the reason.
func listen(t *testing.T, address, authority string) string {
	t.Helper()
	roots, err := certpool.Read(authority)
	if err != nil {
		t.Fatal(err)
	}
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = conn.Close() }()
	if _, err = conn.Read(make([]byte, 1)); err == nil {
		t.Fatal("the daemon answers who says nothing")
	}
	return err.Error()
}

func TestAStreamWithAWrongTokenIsRefused(t *testing.T) {
	c := config(t)
	c.Policy = &server.Policy{Tokens: []server.PolicyToken{{Name: "ci", SecretFile: write(t, "token", secret)}}}
	conn, err := grpc.NewClient(start(t, c).Listen, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client := buildv1.NewPublishBuildEventClient(conn)
	for token, want := range map[string]codes.Code{secret: codes.OK, secret + "x": codes.FailedPrecondition} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-drayage-token", token)
		if _, err := client.PublishLifecycleEvent(ctx, &buildv1.PublishLifecycleEventRequest{}); status.Code(err) != want {
			t.Errorf("lifecycle with token %q: %v, want %s", token, err, want)
		}
		stream, err := client.PublishBuildToolEventStream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); (status.Code(err) == codes.FailedPrecondition) != (want == codes.FailedPrecondition) {
			t.Errorf("stream with token %q: %v, want %s", token, err, want)
		}
	}
}

func TestAPolicyThatCannotBeStopsTheStart(t *testing.T) {
	for want, policy := range map[string]server.Policy{
		"policy.tokens[0].secret_file: ":               {Tokens: []server.PolicyToken{{Name: "ci", SecretFile: "none"}}},
		"policy.tokens[0]: the token of ci has 5 byte": {Tokens: []server.PolicyToken{{Name: "ci", SecretFile: write(t, "short", "short")}}},
	} {
		c := config(t)
		c.Policy = &policy
		if _, err := server.Start(t.Context(), c, zerolog.Nop()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
