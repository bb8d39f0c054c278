package keychain

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/go-json-experiment/json"
	"github.com/google/go-containerregistry/pkg/authn"
)

const (
	// acrScope is the scope that an identity's token must have.
	acrScope = "https://containerregistry.azure.net/.default"
	// exchangeTimeout bounds one exchange, and exchangeBytes its answer.
	exchangeTimeout = 30 * time.Second
	exchangeBytes   = 1 << 20
)

// exchange exchanges an identity's token for a registry's refresh token
// (Azure/acr, docs/AAD-OAuth.md).
type exchange struct {
	// identity defaults to Azure's default chain.
	identity azcore.TokenCredential
	// client defaults to a client like [http.DefaultClient].
	client *http.Client
}

func (e exchange) get(ctx context.Context, host string) (authn.AuthConfig, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	identity := e.identity
	if identity == nil {
		found, err := azidentity.NewDefaultAzureCredential(nil)
		if err != nil {
			return authn.AuthConfig{}, fmt.Errorf("find the Azure identity: %w", trouble(err))
		}
		identity = found
	}
	token, err := identity.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{acrScope}})
	if err != nil {
		if ctx.Err() != nil {
			return authn.AuthConfig{}, fmt.Errorf("get a token of the Azure identity: %w", context.Cause(ctx))
		}
		return authn.AuthConfig{}, fmt.Errorf("get a token of the Azure identity: %w", trouble(err))
	}
	refresh, err := e.trade(ctx, host, token.Token)
	if err != nil {
		return authn.AuthConfig{}, fmt.Errorf("exchange the token of the Azure identity: %w", err)
	}
	return authn.AuthConfig{IdentityToken: refresh}, nil
}

func (e exchange) trade(ctx context.Context, host, token string) (refresh string, err error) {
	form := url.Values{"grant_type": {"access_token"}, "service": {host}, "access_token": {token}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+host+"/oauth2/exchange", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := http.Client{}
	if e.client != nil {
		client = *e.client
	}
	// Only the registry may get the identity's token, so redirects are not followed.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, exchangeBytes))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answered with status %d", host, response.StatusCode)
	}
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.RefreshToken == "" {
		return "", fmt.Errorf("%s answered without a refresh token", host)
	}
	return answer.RefreshToken, nil
}
