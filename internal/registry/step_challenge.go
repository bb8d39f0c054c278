package registry

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
)

// answerChallenge learns from a 401 how the registry wants to be authenticated to, and
// makes the request again. It leaves it to authorize to do as was learned.
func (h *host) answerChallenge(ctx context.Context, t *try, next sender) (*http.Response, error) {
	most := 2
	if t.optional {
		most = 1
	}
	for {
		resp, err := next(ctx, t)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusUnauthorized || t.challenged >= most || !h.auth.learn(resp.Header, t.used) {
			return resp, nil
		}
		drain(resp)
		t.challenged++
	}
}

// learn takes note of a 401. It tells whether another try makes sense: there is
// a challenge that can be met, and used did not just meet it.
func (a *auth) learn(header http.Header, used authorization) bool {
	c, ok := pickChallenge(header)
	if !ok {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.repository(used.repository)
	r.challenge = c
	if r.cred != nil {
		a.remember(r.cred, c)
	}
	if c.scheme == "bearer" {
		if asked := challengedScopes(used.scopes, c.params["scope"]); len(used.scopes) > 0 && !slices.Equal(asked, sorted(used.scopes)) {
			if r.scopes == nil {
				r.scopes = map[string][]string{}
			}
			makeRoom(r.scopes, maxScopeSets)
			r.scopes[strings.Join(used.scopes, " ")] = asked
		}
	}
	if used.scheme == "bearer" && !used.fixed {
		if t := a.tokens[used.key]; t != nil && used.header == "Bearer "+t.value {
			delete(a.tokens, used.key)
		}
		return true
	}
	if used.scheme != c.scheme {
		return true
	}
	// Credentials that were refused may have been replaced since.
	stale := r.cred != nil && a.client.opts.Now().Sub(r.cred.at) > time.Second
	if stale {
		r.cred = nil
	}
	return stale
}

// remember notes the challenge that a credential meets. a.mu is held.
func (a *auth) remember(cred *credential, c challenge) {
	if _, known := a.challenges[cred.AuthConfig]; !known {
		makeRoom(a.challenges, maxRepositories)
	}
	a.challenges[cred.AuthConfig] = c
}

func sorted(scopes []string) []string {
	scopes = slices.Clone(scopes)
	slices.Sort(scopes)
	return scopes
}

// maxScopeSets bounds the sets of scopes that a repository's challenges ask for.
const maxScopeSets = 64
