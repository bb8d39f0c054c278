package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/store"
)

// route is one operation of the API. Its path is that of the OpenAPI document.
type route struct {
	method, path string
	serve        http.HandlerFunc
}

// routes are all operations of the API.
func (h *handler) routes() []route {
	routes := []route{
		{http.MethodGet, operator.LedgerPath, h.ledger},
		{http.MethodGet, operator.InvocationsPath, h.invocations},
		{http.MethodGet, operator.InvocationPath + "{id}", h.invocation},
		{http.MethodGet, operator.InvocationPath + "{id}" + operator.ExpectedSuffix, h.expected},
		{http.MethodGet, operator.ComparePath, h.compare},
		{http.MethodGet, operator.CheckpointPath, h.checkpoint},
		{http.MethodGet, operator.LogKeyPath, h.logKey},
		{http.MethodPost, operator.VerifyPath, h.verify},
		{http.MethodGet, operator.ProofsPath, h.proofs},
		{http.MethodGet, operator.VerificationPath, h.verification},
		{http.MethodGet, operator.JobsPath, h.jobs},
		{http.MethodPost, operator.CancelPath, h.act(h.Source.Cancel)},
		{http.MethodPost, operator.RetryPath, h.retry},
		{http.MethodPost, operator.RequeuePath, h.requeue},
		{http.MethodPost, operator.CopiesPath, h.copy},
		{http.MethodGet, operator.DeadLettersPath, h.deadLetters},
		{http.MethodPost, operator.RedeliverPath, h.redeliver},
		{http.MethodGet, operator.RegistriesPath, h.registries},
		{http.MethodPost, operator.LiftRegistryPath, h.liftRegistry},
		{http.MethodPost, operator.DrainRegistryPath, h.setRegistry(store.RegistryDrained)},
		{http.MethodPost, operator.BlockRegistryPath, h.setRegistry(store.RegistryBlocked)},
		{http.MethodPost, operator.OpenRegistryPath, h.setRegistry(store.RegistryOpen)},
		{http.MethodGet, operator.FencesPath, h.fences},
		{http.MethodPost, operator.LiftPath, h.liftFence},
		{http.MethodGet, operator.OpenAPIPath, openAPI},
	}
	for _, v := range verdicts {
		routes = append(routes, route{http.MethodPost, v.path, h.decideByAPI(v)})
	}
	return routes
}

// api serves the routes; what is none of them is answered with a problem, too.
func (h *handler) api() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, r := range h.routes() {
		mux.HandleFunc(r.method+" "+r.path, r.serve)
		methods[r.path] = append(methods[r.path], r.method)
		if r.method == http.MethodGet {
			methods[r.path] = append(methods[r.path], http.MethodHead)
		}
	}
	for path, allowed := range methods {
		slices.Sort(allowed)
		allow := strings.Join(allowed, ", ")
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", allow)
			problem(w, http.StatusMethodNotAllowed, "Wrong method", fmt.Sprintf("%s takes %s, not %s", path, allow, r.Method))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusNotFound, "No such path in the API", fmt.Sprintf("%s describes the API", operator.OpenAPIPath))
	})
	return ownSite(mux)
}

// ownSite refuses what a page of somebody else's makes the browser of a person send who
// can reach the daemon.
func ownSite(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusForbidden, "The request comes from another site", "a page that is not the daemon's made a browser send it")
	}))
	return protection.Handler(next)
}
