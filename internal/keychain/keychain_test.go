package keychain

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

func TestEachCloudAnswersForItsOwnRegistries(t *testing.T) {
	for host, want := range map[string][2]bool{
		"123456789012.dkr.ecr.eu-central-1.amazonaws.com":       {true, false},
		"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com": {true, false},
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn":      {true, false},
		"123456789012.dkr.ecr.amazonaws.com.evil.example":       {false, false},
		"acme.azurecr.io":         {false, true},
		"acme.azurecr.us":         {false, true},
		"azurecr.io.evil.example": {false, false},
		"ghcr.io":                 {false, false},
		"127.0.0.1:5000":          {false, false},
	} {
		if got := [2]bool{isECR(host), isACR(host)}; got != want {
			t.Errorf("%s: ECR and ACR are %v, want %v", host, got, want)
		}
	}
}

func TestAnIdentityThatCannotBeHadSaysWhatToDo(t *testing.T) {
	p := provider{name: "ECR", hint: "give it one", serves: isECR, get: func(context.Context, string) (authn.AuthConfig, error) {
		return authn.AuthConfig{}, errors.New("no identity")
	}}
	ours, err := name.NewRegistry("123456789012.dkr.ecr.eu-central-1.amazonaws.com")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Resolve(ours); err == nil || err.Error() != "get credentials from ECR: no identity; give it one" {
		t.Errorf("got error %v", err)
	}
	other, err := name.NewRegistry("ghcr.io")
	if err != nil {
		t.Fatal(err)
	}
	if found, err := p.Resolve(other); found != authn.Anonymous || err != nil {
		t.Errorf("another registry's credentials are %v, %v; want none", found, err)
	}
}

type identity string

func (i identity) GetToken(_ context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(i) + " for " + options.Scopes[0], ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func TestACRTradesTheIdentitysToken(t *testing.T) {
	var asked url.Values
	answer, status := `{"refresh_token":"refreshed"}`, http.StatusOK
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.URL.Path != "/oauth2/exchange" {
			t.Errorf("%s: %v", r.URL, err)
		}
		asked = r.PostForm
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "https://")
	e := exchange{identity: identity("token"), client: server.Client()}
	got, err := e.get(t.Context(), host)
	if err != nil || got.IdentityToken != "refreshed" {
		t.Errorf("got %+v, %v", got, err)
	}
	if asked.Get("grant_type") != "access_token" || asked.Get("service") != host || asked.Get("access_token") != "token for "+acrScope {
		t.Errorf("the registry was asked %v", asked)
	}
	answer, status = "", http.StatusUnauthorized
	if _, err := e.get(t.Context(), host); err == nil || strings.Contains(err.Error(), "token for") || !strings.Contains(err.Error(), "401") {
		t.Errorf("refused, got error %v, want one with the status and without the token", err)
	}
	answer, status = "{}", http.StatusOK
	if _, err := e.get(t.Context(), host); err == nil {
		t.Error("an answer without a refresh token is no error")
	}
}
