package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/drayage/drayage/internal/flight"
)

const (
	// tokenTimeout bounds the exchange of credentials for a token.
	tokenTimeout = 30 * time.Second
	// maxTokenBody bounds a token service's answer, in bytes.
	maxTokenBody = 64 << 10
	// maxTokenRedirects bounds the hops on a token service's own host.
	maxTokenRedirects = 3
)

// tokenRequest is a request for a token.
type tokenRequest struct {
	auth    *auth
	realm   *url.URL
	service string
	scopes  []string
	cred    *credential
}

// run asks the token service: with the form of OAuth 2 for a refresh token, else with a
// name and a password (distribution's token specification). Where a service has but the
// other way, it is asked in that.
func (x *tokenRequest) run(ctx context.Context) (*tokenAnswer, error) {
	cred := x.cred.AuthConfig
	named := cred.Username != "" && cred.Password != "" || cred.Auth != ""
	if cred.IdentityToken != "" {
		answer, err := x.refresh(ctx, cred.IdentityToken)
		if unknownWay(err) && named {
			return x.get(ctx)
		}
		return answer, err
	}
	answer, err := x.get(ctx)
	if unknownWay(err) && cred.Username != "" && cred.Password != "" {
		form := x.form("password")
		form.Set("username", cred.Username)
		form.Set("password", cred.Password)
		if posted, again := x.post(ctx, form); !unknownWay(again) {
			return posted, again
		}
	}
	return answer, err
}

// unknownWay tells whether a service may take the other kind of request.
func unknownWay(err error) bool {
	failed := asError(err)
	return failed != nil && (failed.Status == http.StatusNotFound || failed.Status == http.StatusMethodNotAllowed)
}

func (x *tokenRequest) form(grant string) url.Values {
	form := url.Values{"grant_type": {grant}, "client_id": {"drayage"}, "scope": {strings.Join(x.scopes, " ")}}
	if x.service != "" {
		form.Set("service", x.service)
	}
	return form
}

func (x *tokenRequest) get(ctx context.Context) (*tokenAnswer, error) {
	u := *x.realm
	query := u.Query()
	query["scope"] = x.scopes
	query.Set("service", x.service)
	u.RawQuery = query.Encode()
	header := http.Header{}
	if value, _ := basicHeader(x.cred.AuthConfig); value != "" {
		header.Set("Authorization", value)
	}
	return x.send(ctx, http.MethodGet, &u, header, "")
}

func (x *tokenRequest) post(ctx context.Context, form url.Values) (*tokenAnswer, error) {
	return x.send(ctx, http.MethodPost, x.realm, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, form.Encode())
}

// send makes a request, and follows it where the service moves it on its own host.
func (x *tokenRequest) send(ctx context.Context, method string, to *url.URL, header http.Header, body string) (*tokenAnswer, error) {
	h := x.auth.host
	for range maxTokenRedirects + 1 {
		req, err := http.NewRequestWithContext(ctx, method, to.String(), strings.NewReader(body))
		if err != nil {
			return nil, x.odd("has an address that cannot be asked", true)
		}
		req.Header = header.Clone()
		req.Header.Set("User-Agent", h.client.opts.UserAgent)
		req.Header.Set("Accept", "application/json")
		began := time.Now()
		resp, err := h.fetch(req, min(tokenTimeout, h.client.opts.answerTotal()))
		if err != nil {
			return nil, x.failed(ctx, err)
		}
		if e := h.client.opts.Logger.Debug(); e.Enabled() {
			e.Str("registry", x.auth.registry).Str("service", h.client.tell(to.Host, false)).Int("status", resp.StatusCode).Dur("duration", time.Since(began)).Msg("get a token")
		}
		if resp.StatusCode < 300 || resp.StatusCode >= 400 {
			return x.answer(ctx, resp)
		}
		next, err := resp.Location()
		drain(resp)
		if err != nil {
			return nil, x.odd(fmt.Sprintf("answered %d without a usable Location", resp.StatusCode), false)
		}
		if next.Scheme != to.Scheme && next.Scheme != "https" || !strings.EqualFold(next.Hostname(), to.Hostname()) || next.Scheme == to.Scheme && !sameHost(next, to) {
			return nil, &RealmError{registry: x.auth.registry, err: fmt.Errorf("%s redirects to %s", h.client.tell(to.Host, false), h.client.tell(next.Scheme+"://"+next.Host, false))}
		}
		if err := x.auth.mayAsk(next); err != nil {
			return nil, &RealmError{registry: x.auth.registry, err: err}
		}
		if method != http.MethodGet && resp.StatusCode != http.StatusTemporaryRedirect && resp.StatusCode != http.StatusPermanentRedirect {
			return nil, x.odd(fmt.Sprintf("redirects a POST with %d, which is not followed", resp.StatusCode), false)
		}
		to = next
	}
	return nil, x.odd("redirects too often", false)
}

// failed is the error of a request that got no answer.
func (x *tokenRequest) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if limit, ok := errors.AsType[*flight.LimitError](err); ok {
		return x.odd("did not answer within "+limit.Limit.String(), false)
	}
	return x.fail(&Error{err: x.auth.host.unreached(unwrapURL(err))})
}

// odd is the error of an answer that is not what it should be.
func (x *tokenRequest) odd(text string, lasts bool) error {
	return x.fail(&Error{err: &trouble{text: text, lasts: lasts}})
}

func (x *tokenRequest) fail(e *Error) *Error {
	e.Op, e.registry, e.service = "get a token", x.auth.registry, x.auth.host.client.tell(x.realm.Host, false)
	kind := tokenKind(x.cred.AuthConfig)
	e.asked(authorization{kind: kind, source: x.cred.Source, looked: x.cred.Looked, header: sentWith(kind)})
	return e
}

// sentWith is not empty where credentials were sent.
func sentWith(kind string) string {
	if kind == anonymously {
		return ""
	}
	return kind
}

// answer reads a token, or why there is none. Nothing of the body is told but codes that
// are known: there may be tokens in it, whatever the status.
func (x *tokenRequest) answer(ctx context.Context, resp *http.Response) (*tokenAnswer, error) {
	defer resp.Body.Close()
	now := x.auth.host.client.opts.Now()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		hurry(resp)
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		e := &Error{Status: resp.StatusCode}
		e.RetryAfter, e.wished = retryAfter(resp, now)
		e.codes, _, _ = jsonError(body)
		e.codes = knownCodes(e.codes, body)
		e.message = strings.Join(e.codes, ", ")
		return nil, x.fail(e)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenBody+1))
	if err != nil {
		return nil, x.failed(ctx, err)
	}
	if len(body) > maxTokenBody {
		return nil, x.odd("gave no token: its answer is larger than "+humanize.IBytes(maxTokenBody), false)
	}
	answer, problem := parseToken(resp.Header, body, now)
	if problem != "" {
		return nil, x.odd("gave no token: "+problem, false)
	}
	return answer, nil
}
