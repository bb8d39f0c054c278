package server_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/server"
)

const robotSecret = "another token, of 24 bytes and more"

// withImages is a configuration of a daemon that is a registry too.
func withImages(t *testing.T) server.Config {
	t.Helper()
	c := config(t)
	c.CASRegistry.Listen, c.CASRegistry.Folder = freeAddress(t), filepath.Join(t.TempDir(), "images")
	return c
}

func TestThePolicySaysWhoUsesTheRegistry(t *testing.T) {
	c := withImages(t)
	c.CASRegistry.Name = "Localhost:5000"
	c.Policy = &server.Policy{
		Tokens: []server.PolicyToken{{Name: "ci", SecretFile: write(t, "ci", secret)}, {Name: "robot", SecretFile: write(t, "robot", robotSecret)}},
		Rules: []server.PolicyRule{
			{Name: "release", Clients: []string{"token:ci"}, Targets: []string{"//..."}, Repositories: []string{"localhost:5000/acme/release"}},
			{Name: "try", Clients: []string{"token:ci"}, Repositories: []string{"localhost:5000/acme/try"}, NeverOverwrite: []string{"v*"}, NeedsGreen: []string{"prod"}},
			{Name: "robot", Clients: []string{"token:robot"}, Repositories: []string{"localhost:5000/robot/*"}, Sources: []string{"localhost:5000/robot/*"}},
		},
		Read: []string{"token:ci"}, Operate: []string{"token:robot"},
	}
	start(t, c)
	as := func(password string) remote.Option {
		if password == "" {
			return remote.WithAuth(authn.Anonymous)
		}
		return remote.WithAuth(&authn.Basic{Username: "anybody", Password: password})
	}
	first, err := random.Image(1000, 2)
	check(t, err)
	second, err := random.Image(1000, 1)
	check(t, err)
	tag := func(text string) name.Tag {
		parsed, err := name.NewTag(c.CASRegistry.Listen + "/" + text)
		check(t, err)
		return parsed
	}
	pull := func(of, password string) error {
		_, err := remote.Image(tag(of), as(password))
		return err
	}
	for _, row := range []struct {
		what string
		err  error
		want string
	}{
		{"a push by nobody", remote.Write(tag("acme/try:v1"), first, as("")), "401 Unauthorized"},
		{"a push with a wrong token", remote.Write(tag("acme/try:v1"), first, as("no token")), "401 Unauthorized"},
		{"a push elsewhere", remote.Write(tag("acme/other:v1"), first, as(secret)), "rule try allows the repositories localhost:5000/acme/try, but not localhost:5000/acme/other"},
		{"a push where a target is wanted", remote.Write(tag("acme/release:v1"), first, as(secret)), "DENIED"},
		{"a push by another", remote.Write(tag("acme/try:v1"), first, as(robotSecret)), "403 Forbidden"},
		{"a push", remote.Write(tag("acme/try:v1"), first, as(secret)), ""},
		{"a push over a tag", remote.Write(tag("acme/try:v1"), second, as(secret)), "never_overwrite"},
		{"a push over another tag", remote.Write(tag("acme/try:latest"), first, as(secret)), ""},
		{"a push over it again", remote.Write(tag("acme/try:latest"), second, as(secret)), ""},
		{"a push of a tag with a gate", remote.Write(tag("acme/try:prod"), first, as(secret)), "lets the tags prod of localhost:5000/acme/try move only when a build is green"},
		{"a pull by a reader", pull("acme/try:v1", secret), ""},
		{"a pull by nobody", pull("acme/try:v1", ""), "UNAUTHORIZED"},
		{"a pull by a stranger", pull("acme/try:v1", robotSecret), "token:robot is not in the daemon's policy.read"},
		{"a push of one's own", remote.Write(tag("robot/app:v1"), second, as(robotSecret)), ""},
		{"a pull of one's own", pull("robot/app:v1", robotSecret), ""},
		{"a deletion by a reader", remote.Delete(tag("acme/try:v1"), as(secret)), "token:ci is not in the daemon's policy.operate"},
		{"a deletion by an operator", remote.Delete(tag("acme/try:v1"), as(robotSecret)), ""},
	} {
		if (row.err == nil) != (row.want == "") || (row.err != nil && !strings.Contains(row.err.Error(), row.want)) {
			t.Errorf("%s: %v, want %q", row.what, row.err, row.want)
		}
	}

	// docker asks here whether to log in, and sends its token only then.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.CASRegistry.Listen+"/v2/", http.NoBody)
	check(t, err)
	for header, want := range map[string]int{"": http.StatusUnauthorized, "Bearer " + secret: http.StatusOK, "Bearer no": http.StatusUnauthorized, "Basic Og==": http.StatusUnauthorized} {
		request.Header.Set("Authorization", header)
		response, err := http.DefaultClient.Do(request)
		check(t, err)
		check(t, response.Body.Close())
		if response.StatusCode != want || (want == http.StatusUnauthorized) != strings.HasPrefix(response.Header.Get("WWW-Authenticate"), "Basic realm=") {
			t.Errorf("with %q: %s %v", header, response.Status, response.Header)
		}
	}
}

func TestWithoutAPolicyEverybodyOnLoopbackUsesTheRegistry(t *testing.T) {
	c := withImages(t)
	start(t, c)
	image, err := random.Image(1000, 2)
	check(t, err)
	tag, err := name.NewTag(c.CASRegistry.Listen + "/acme/app:v1")
	check(t, err)
	check(t, remote.Write(tag, image))
	pulled, err := remote.Image(tag)
	check(t, err)
	got, err := pulled.Digest()
	check(t, err)
	want, err := image.Digest()
	check(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s was pulled, want %s", got, want)
	}
	check(t, remote.Delete(tag))
}

func TestNoOtherHostNameReachesTheDaemon(t *testing.T) {
	c := withImages(t)
	c.Names, c.CASRegistry.Name = []string{"drayage.example"}, "images.example:5000"
	d := start(t, c)
	for _, row := range []struct {
		address, method, path, host string
		want                        int
	}{
		// A page whose name now leads here has its own Host and Origin: that is no other site.
		{d.HTTP, http.MethodPost, operator.CancelPath, "attacker.example:9091", http.StatusMisdirectedRequest},
		{d.HTTP, http.MethodPost, operator.CancelPath, "drayage.example:9091", http.StatusOK},
		{d.HTTP, http.MethodPost, operator.CancelPath, d.HTTP, http.StatusOK},
		{d.HTTP, http.MethodGet, "/", "attacker.example", http.StatusMisdirectedRequest},
		{d.HTTP, http.MethodGet, "/metrics", "images.example:5000", http.StatusMisdirectedRequest},
		{d.HTTP, http.MethodGet, "/", "localhost:1", http.StatusOK},
		{c.CASRegistry.Listen, http.MethodPost, "/v2/a/blobs/uploads/", "attacker.example", http.StatusMisdirectedRequest},
		{c.CASRegistry.Listen, http.MethodPost, "/v2/a/blobs/uploads/", "images.example:5000", http.StatusAccepted},
		{c.CASRegistry.Listen, http.MethodPost, "/v2/a/blobs/uploads/", "drayage.example", http.StatusAccepted},
	} {
		request, err := http.NewRequestWithContext(t.Context(), row.method, "http://"+row.address+row.path, strings.NewReader(`{"all":true}`))
		check(t, err)
		request.Host = row.host
		request.Header.Set("Origin", "http://"+row.host)
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		check(t, err)
		text, err := io.ReadAll(response.Body)
		check(t, err)
		check(t, response.Body.Close())
		if response.StatusCode != row.want {
			t.Errorf("%s %s of %s: %s, want %d\n%s", row.method, row.path, row.host, response.Status, row.want, text)
		}
		if row.want == http.StatusMisdirectedRequest && !strings.Contains(string(text), "add the name to names") {
			t.Errorf("the answer does not say what to do: %s", text)
		}
	}
}

// Those that stall hold up neither pushes nor the daemon's pages.
func TestAClientThatStallsHoldsUpNobody(t *testing.T) {
	c := withImages(t)
	d := start(t, c)
	for i := range 60 {
		address, path := c.CASRegistry.Listen, "/v2/a/app/blobs/uploads/?digest=sha256:"+strings.Repeat("a", 64)
		if i%2 == 0 {
			address, path = d.HTTP, operator.VerifyPath
		}
		conn, err := net.Dial("tcp", address)
		check(t, err)
		defer func() { _ = conn.Close() }()
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{", path)
		check(t, err)
	}
	for i := range 10 {
		image, err := random.Image(1000, 2)
		check(t, err)
		tag, err := name.NewTag(fmt.Sprintf("%s/a/app:%d", c.CASRegistry.Listen, i))
		check(t, err)
		check(t, remote.Write(tag, image))
	}
	if read, operate := ask(t, "http://"+d.HTTP, operator.Login{}); read != "" || operate != "" {
		t.Errorf("%q, %q", read, operate)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
