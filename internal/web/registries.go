package web

import (
	"context"
	"errors"
	"net/http"

	"github.com/drayage/drayage/internal/hosts"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/store"
)

// Registries are the registries that the daemon pushes to.
type Registries interface {
	Statuses(ctx context.Context) ([]hosts.Status, error)
	// SetMode and Lift take any name of a registry; the error is a [*hosts.NameError]
	// if it is none.
	SetMode(ctx context.Context, registry string, mode store.RegistryMode, client string) error
	Lift(ctx context.Context, registry, client string) (paused bool, err error)
	// LiftFor ends the pauses that selected jobs wait for, and returns the registries that
	// are drained or blocked.
	LiftFor(ctx context.Context, selection store.Selection, client string) (closed []string, err error)
}

// registries answers with all registries.
func (h *handler) registries(w http.ResponseWriter, r *http.Request) {
	list := operator.RegistryList{Registries: []operator.Registry{}}
	if h.Registries != nil {
		statuses, err := h.Registries.Statuses(r.Context())
		if err != nil {
			h.broken(w, r, err)
			return
		}
		for _, status := range statuses {
			list.Registries = append(list.Registries, registryOf(status))
		}
	}
	found(w, list)
}

func registryOf(s hosts.Status) operator.Registry {
	r := operator.Registry{
		Registry: s.Registry, State: string(s.State.Mode), By: s.State.Client, Since: s.State.Since,
		UnderWay: s.UnderWay, Waiting: s.Waiting, Pushes: s.Pushes, Jobs: s.Jobs,
		Small: s.AtOnce[0], Large: s.AtOnce[1], Rate: s.Rate, LastAnswer: s.LastProgress.UTC(),
	}
	if p := s.Pause; !p.Until.IsZero() {
		r.Pause = &operator.Pause{
			Since: p.Since.UTC(), Until: p.Until.UTC(), NextTry: p.Next.UTC(), Status: p.Answer.Status,
			AskedSeconds: p.Answer.Asked.Seconds(), Request: p.Answer.Op, Repository: p.Answer.Repository, TokenService: s.TokenService,
		}
	}
	return r
}

// setRegistry says whether pushes may go to a registry, and answers with how it stands.
func (h *handler) setRegistry(mode store.RegistryMode) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request operator.RegistryRequest
		if !readBody(w, r, &request) {
			return
		}
		err := h.Registries.SetMode(r.Context(), request.Registry, mode, h.client(r))
		if err == nil {
			h.actedOnRegistry(r, request.Registry)
			h.registry(w, r, request.Registry)
			return
		}
		h.badRegistry(w, r, err)
	}
}

// registry answers with how one registry stands.
func (h *handler) registry(w http.ResponseWriter, r *http.Request, name string) {
	statuses, err := h.Registries.Statuses(r.Context())
	if err != nil {
		h.broken(w, r, err)
		return
	}
	host, err := hosts.Name(name)
	if err != nil {
		h.badRegistry(w, r, err)
		return
	}
	for _, status := range statuses {
		if status.Registry == host {
			found(w, registryOf(status))
			return
		}
	}
	h.broken(w, r, errors.New("registry "+host+" is not among those that are known"))
}

// liftRegistry ends the pauses of a registry.
func (h *handler) liftRegistry(w http.ResponseWriter, r *http.Request) {
	var request operator.RegistryRequest
	if !readBody(w, r, &request) {
		return
	}
	paused, err := h.Registries.Lift(r.Context(), request.Registry, h.client(r))
	if err != nil {
		h.badRegistry(w, r, err)
		return
	}
	h.actedOnRegistry(r, request.Registry)
	found(w, operator.PauseLifted{Paused: paused})
}

func (h *handler) badRegistry(w http.ResponseWriter, r *http.Request, err error) {
	if wrong, ok := errors.AsType[*hosts.NameError](err); ok {
		problem(w, http.StatusBadRequest, "No such registry", wrong.Error())
		return
	}
	h.broken(w, r, err)
}

func (h *handler) actedOnRegistry(r *http.Request, registry string) {
	h.Logger.Info().Str("path", r.URL.Path).Str("client", h.client(r)).Str("registry", registry).Msg("an operator acted on a registry")
}

// retry makes the selected jobs due, and lifts the pauses of the registries that they wait
// for.
func (h *handler) retry(w http.ResponseWriter, r *http.Request) {
	selection, ok := readSelection(w, r)
	if !ok {
		return
	}
	var acted operator.Acted
	var err error
	if h.Registries != nil {
		acted.Closed, err = h.Registries.LiftFor(r.Context(), selection, h.client(r))
	}
	if err == nil {
		acted.Jobs, err = h.Source.RetryNow(r.Context(), selection)
	}
	if err != nil {
		h.broken(w, r, err)
		return
	}
	h.acted(r, selection, acted.Jobs)
	found(w, acted)
}
