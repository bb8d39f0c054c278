package web

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
)

//go:embed pages
var pageFiles embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"short":   shortDigest,
	"bytes":   func(n int64) string { return humanize.IBytes(uint64(max(n, 0))) },
	"seconds": func(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) },
	"clock":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
	"rfc3339": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}).ParseFS(pageFiles, "pages/*.html"))

// refreshSeconds is how often the page of an invocation that is under way asks
// again.
const refreshSeconds = 2

// refreshIdleSeconds is how often the page of an invocation asks again that waits for
// somebody to decide.
const refreshIdleSeconds = 15

// view is what every page has.
type view struct {
	Title   string
	Version string
	Refresh int // seconds; 0 for never
	Entries []ledger.Entry
	NextURL string
}

type filter struct{ Name, Label, Value string }

func (h *handler) ledgerPage(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	for name, value := range values {
		if len(value) == 0 || strings.TrimSpace(value[0]) == "" {
			values.Del(name) // an empty field of the form asks for nothing
		}
	}
	query, err := operator.DecodeQuery(values)
	if err == nil {
		err = query.Check()
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	page, err := h.page(r.Context(), query)
	if several, ok := errors.AsType[*ledger.AmbiguousError](err); ok {
		http.Error(w, several.Error(), http.StatusBadRequest)
		return
	}
	if err != nil {
		h.broken(w, r, err)
		return
	}
	data := struct {
		view
		Filters  []filter
		Filtered bool
	}{view: h.view("Ledger", "/", query, page)}
	for _, f := range []filter{{Name: "registry"}, {Name: "repository"}, {Name: "tag"}, {Name: "digest"}, {Name: "target"}, {Name: "commit"}, {Name: "outcome"}} {
		f.Label = strings.ToUpper(f.Name[:1]) + f.Name[1:]
		f.Value = values.Get(f.Name)
		data.Filters = append(data.Filters, f)
		data.Filtered = data.Filtered || f.Value != ""
	}
	h.render(w, r, "ledger.html", data)
}

func (h *handler) invocationPage(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	invocation, ok := h.pageOf(w, r)
	if !ok {
		return
	}
	query := ledger.Query{Invocation: id}
	page, err := h.page(r.Context(), query)
	if err != nil {
		h.broken(w, r, err)
		return
	}
	data := struct {
		view
		Invocation operator.Invocation
		Actions    []action
	}{h.view("Invocation "+id, "/", query, page), invocation, h.actions(r, invocation)}
	switch {
	case !invocation.Settled():
		data.Refresh = refreshSeconds
	case invocation.Release != nil && invocation.Release.State == operator.ReleaseWaiting:
		data.Refresh = refreshIdleSeconds
	}
	h.render(w, r, "invocation.html", data)
}

// pageOf looks up the invocation that a page is about. Where it cannot it answers, and
// returns false.
func (h *handler) pageOf(w http.ResponseWriter, r *http.Request) (operator.Invocation, bool) {
	invocation, known, err := h.lookUp(r.Context(), r.PathValue("id"))
	switch {
	case err != nil:
		h.broken(w, r, err)
	case !known:
		http.Error(w, "The daemon has received no stream of this invocation.", http.StatusNotFound)
	default:
		return invocation, true
	}
	return operator.Invocation{}, false
}

func (h *handler) view(title, path string, query ledger.Query, page operator.LedgerPage) view {
	v := view{Title: title, Version: h.Version, Entries: page.Entries}
	if page.Next != 0 {
		query.Before = page.Next
		v.NextURL = path + "?" + operator.EncodeQuery(query).Encode()
	}
	return v
}

// render writes a page whole or not at all.
func (h *handler) render(w http.ResponseWriter, r *http.Request, name string, data any) {
	h.renderAs(w, r, http.StatusOK, name, data)
}

func (h *handler) renderAs(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		h.broken(w, r, fmt.Errorf("render %s: %w", name, err))
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

func (h *handler) style(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, pageFiles, "pages/style.css")
}

// shortDigest is enough of a digest to tell it from its neighbours.
func shortDigest(digest string) string {
	const length = len("sha256:") + 12
	if len(digest) <= length {
		return digest
	}
	return digest[:length]
}
