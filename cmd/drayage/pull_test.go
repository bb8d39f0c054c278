package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAPullTellsNothingOfATokenServicesAnswer(t *testing.T) {
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			fmt.Fprint(w, `{"refresh_token":"hunter2"}`)
			return
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="x"`, server.URL))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	for _, name := range []string{"HOME", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"} {
		t.Setenv(name, t.TempDir())
	}
	out, err := tool(t, "pull", "--registry", strings.TrimPrefix(server.URL, "http://"), "--repository", "acme/base", "--digest", "sha256:"+strings.Repeat("0", 64))
	if err == nil || !strings.Contains(err.Error(), "no token") || strings.Contains(out+err.Error(), "hunter2") {
		t.Errorf("got error %v\n%s", err, out)
	}
}
