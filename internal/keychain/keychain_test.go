package keychain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

func TestEachCloudAnswersForItsOwnRegistries(t *testing.T) {
	for host, want := range map[string][2]bool{
		"123456789012.dkr.ecr.eu-central-1.amazonaws.com":             {true, false},
		"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com":       {true, false},
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn":            {true, false},
		"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu":            {true, false},
		"123456789012.dkr-ecr.eu-central-1.on.aws":                    {true, false},
		"123456789012.dkr-ecr-fips.us-east-1.on.aws":                  {true, false},
		"123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn": {true, false},
		"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov":               {true, false},
		"123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov":           {true, false},
		"123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk":          {true, false},
		"123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov":         {true, false},
		"public.ecr.aws": {false, false},
		"123456789012.dkr.ecr.amazonaws.com.evil.example":       {false, false},
		"123456789012.dkr-ecr.eu-central-1.on.aws.evil.example": {false, false},
		"evil.example:443":        {false, false},
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

func resource(t *testing.T, repository string) name.Repository {
	t.Helper()
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

const ourECR = "123456789012.dkr-ecr.eu-central-1.on.aws"

func TestAnIdentityThatCannotBeHadSaysWhatToDo(t *testing.T) {
	p := newProvider("ECR", "give it one", isECR, func(context.Context, string) (authn.AuthConfig, error) {
		return authn.AuthConfig{}, errors.New("no identity")
	})
	if _, err := p.Find(t.Context(), resource(t, ourECR+"/app")); err == nil || err.Error() != "get credentials from ECR: no identity; give it one" {
		t.Errorf("got error %v", err)
	}
	if found, err := p.Resolve(resource(t, "ghcr.io/acme/app")); found != authn.Anonymous || err != nil {
		t.Errorf("another registry's credentials are %v, %v; want none", found, err)
	}
}

func TestACloudThatHangsEndsWithItsCallerAndWithItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		// An SDK that does not heed its context.
		p := newProvider("ECR", "give it one", isECR, func(context.Context, string) (authn.AuthConfig, error) {
			<-release
			return authn.AuthConfig{}, nil
		})
		began := time.Now()
		if _, err := p.Find(t.Context(), resource(t, ourECR+"/app")); err == nil || !strings.Contains(err.Error(), "no answer within 1m0s") {
			t.Errorf("got error %v after %s", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := p.Find(ctx, resource(t, ourECR+"/other")); !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "no answer") {
			t.Errorf("got error %v", err)
		}
		if took := time.Since(began); took > limit+5*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestAmazonIsAskedOnceForARegistryAndItsAnswersAreNotShown(t *testing.T) {
	var asked atomic.Int32
	answer, status := `{"authorizationData":[{"authorizationToken":"QVdTOnNlc2FtZQ==","expiresAt":1.9e9}]}`, http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if got := r.Header.Get("X-Amz-Target"); !strings.HasSuffix(got, ".GetAuthorizationToken") {
			t.Errorf("asked for %q", got)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere", "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	p := newProvider("ECR", "give it one", isECR, getECR)
	for _, repository := range []string{"/a", "/b"} {
		found, err := p.Find(t.Context(), resource(t, ourECR+repository))
		if err != nil || found.Username != "AWS" || found.Password != "sesame" {
			t.Errorf("got %+v, %v", found, err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("it was asked %d times", asked.Load())
	}
	answer, status = `{"__type":"UnrecognizedClientException","message":"hunter2"}`, http.StatusBadRequest
	_, err := getECR(t.Context(), ourECR)
	if err == nil || !strings.Contains(err.Error(), "UnrecognizedClientException") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("refused, got error %v", err)
	}
}

func TestWhatAnSDKPrintsOfAnAnswerIsNotShown(t *testing.T) {
	response := &http.Response{StatusCode: http.StatusUnauthorized, Status: "401", Body: io.NopCloser(strings.NewReader(`{"error":"hunter2"}`)),
		Request: httptest.NewRequest(http.MethodPost, "https://login.example/token", http.NoBody)}
	err := trouble(fmt.Errorf("failed to acquire a token: %w", &azidentity.AuthenticationFailedError{RawResponse: response}))
	if !strings.Contains(err.Error(), "RESPONSE 401") || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
		t.Errorf("it is shown as %q", err)
	}
	if got := len(trouble(errors.New(strings.Repeat("x", 10_000))).Error()); got > 500 {
		t.Errorf("%d bytes are shown", got)
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
