package registry

import (
	"context"
	"net/http"
)

// maxRotated bounds the refresh tokens that came in the place of others.
const maxRotated = 256

// refresh trades a refresh token. A service may give another one in its place, and take
// the old one no more.
func (x *tokenRequest) refresh(ctx context.Context, configured string) (*tokenAnswer, error) {
	current := x.auth.rotated(configured)
	answer, err := x.trade(ctx, configured, current)
	if failed := asError(err); current != configured && failed != nil && (failed.Denied() || failed.Status == http.StatusBadRequest) {
		return x.trade(ctx, configured, configured)
	}
	return answer, err
}

func (x *tokenRequest) trade(ctx context.Context, configured, current string) (*tokenAnswer, error) {
	form := x.form("refresh_token")
	form.Set("refresh_token", current)
	answer, err := x.post(ctx, form)
	if err == nil && answer.refresh != "" {
		x.auth.rotate(configured, answer.refresh)
	}
	return answer, err
}

// rotated is the refresh token that is in the place of a configured one.
func (a *auth) rotated(configured string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if current, ok := a.replaced[configured]; ok {
		return current
	}
	return configured
}

func (a *auth) rotate(configured, current string) {
	a.client.secrets.add(current)
	a.mu.Lock()
	defer a.mu.Unlock()
	makeRoom(a.replaced, maxRotated)
	a.replaced[configured] = current
}
