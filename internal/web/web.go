package web

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

// Options are what the handler is made of.
type Options struct {
	Source Source
	// Copier makes the copies that are asked for.
	Copier Copier
	// Registries are those that the daemon pushes to.
	Registries Registries
	// Access may be nil: everything is for everybody then.
	Access Access
	// Ready says why the daemon does not take streams, or nil. It answers /readyz.
	Ready func() error
	// Metrics are served at /metrics.
	Metrics prometheus.Gatherer
	// Version is the daemon's, for the foot of the pages.
	Version string
	Logger  zerolog.Logger
}

type handler struct {
	Options
	// verifying holds a token while a verification reads the whole ledger.
	verifying chan struct{}
}

// NewHandler serves the pages, the API, health and metrics.
func NewHandler(options Options) http.Handler {
	h := &handler{Options: options, verifying: make(chan struct{}, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.ledgerPage)
	mux.HandleFunc("GET "+pagePrefix+"{id}", h.invocationPage)
	for _, v := range verdicts {
		mux.HandleFunc("GET "+pagePrefix+"{id}/"+v.name, h.decisionPage(v))
		mux.Handle("POST "+pagePrefix+"{id}/"+v.name, ownSite(h.decideByForm(v)))
	}
	mux.HandleFunc("GET /style.css", h.style)
	mux.Handle("/api/", h.api())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(options.Metrics, promhttp.HandlerOpts{}))
	return secured(guarded(options.Access, mux))
}

// pagePrefix stands before an invocation's id in the address of its page.
const pagePrefix = "/invocations/"

// secured adds the headers that keep a page from being framed or made to run
// what a build put into a name.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		// With no-referrer, browsers do not say where a form comes from.
		w.Header().Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

func (h *handler) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := h.Ready(); err != nil {
		answer(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, "ready")
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}
