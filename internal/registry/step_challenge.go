package registry

import (
	"context"
	"net/http"
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
