package registry

import (
	"context"
	"net/http"

	"github.com/drayage/drayage/internal/registry/pacer"
)

// awaitService waits until a token service may be asked again, if that is soon. Now and
// then one request goes during a long pause: a trial, which finds out whether the service
// is back.
func (a *auth) awaitService(ctx context.Context, x *tokenRequest) (trial bool, err error) {
	now := a.client.opts.Now()
	a.mu.Lock()
	pauses := a.services[x.realm.Host]
	if pauses == nil || !pauses.Until.After(now) {
		a.mu.Unlock()
		return false, nil
	}
	left, pause := pauses.Until.Sub(now), pauses.Pause
	trial = left > a.client.opts.maxWait && pauses.Try(now)
	a.mu.Unlock()
	switch {
	case trial:
		return true, nil
	case left > a.client.opts.maxWait:
		return false, x.fail(&Error{Status: http.StatusTooManyRequests, RetryAfter: left, pause: &pause})
	}
	return false, a.client.opts.Wait(ctx, left)
}

// noteService notes how a token service answered: it may have asked for patience.
func (a *auth) noteService(x *tokenRequest, trial bool, err error) {
	failed := asError(err)
	throttled := failed != nil && failed.RetryAfter > 0 && failed.Throttled()
	now := a.client.opts.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	pauses := a.services[x.realm.Host]
	if trial && pauses != nil {
		pauses.Tried(now, failed == nil && err == nil || failed != nil && !failed.Passing())
	}
	if !throttled {
		return
	}
	if pauses == nil {
		makeRoom(a.services, maxRepositories)
		pauses = &pacer.Pauses{}
		a.services[x.realm.Host] = pauses
	}
	pauses.Note(now, pacer.Answer{
		Status: failed.Status, After: failed.RetryAfter, Asked: failed.wished, Op: "get a token", Repository: repositoryOf(x.scopes),
	})
}

// pausedService is the pause of one of the token services, if one has a pause, and whether
// a trial is due.
func (a *auth) pausedService() (service string, pause pacer.Pause, due bool) {
	now := a.client.opts.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for host, pauses := range a.services {
		if pauses.Until.After(now) && pauses.Until.After(pause.Until) {
			service, pause, due = host, pauses.Pause, pauses.Due(now)
		}
	}
	return service, pause, due
}

// liftServices ends the pauses of all token services. It tells whether there was one.
func (a *auth) liftServices() bool {
	now := a.client.opts.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	lifted := false
	for _, pauses := range a.services {
		lifted = pauses.Lift(now) || lifted
	}
	return lifted
}
