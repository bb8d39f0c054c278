package registry

import (
	"context"
	"net/http"
)

// awaitService waits until a token service may be asked again, if that is soon.
func (a *auth) awaitService(ctx context.Context, x *tokenRequest) error {
	a.mu.Lock()
	left := a.notBefore[x.realm.Host].Sub(a.client.opts.Now())
	a.mu.Unlock()
	if left <= 0 {
		return nil
	}
	if left > a.client.opts.maxWait {
		return x.fail(&Error{Status: http.StatusTooManyRequests, RetryAfter: left})
	}
	return a.client.opts.Wait(ctx, left)
}

// noteThrottling notes that a token service asked for patience.
func (a *auth) noteThrottling(x *tokenRequest, err error) {
	failed := asError(err)
	if failed == nil || failed.RetryAfter <= 0 || !failed.Throttled() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	makeRoom(a.notBefore, maxRepositories)
	a.notBefore[x.realm.Host] = a.client.opts.Now().Add(failed.RetryAfter)
}
