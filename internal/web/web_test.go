package web_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/internal/web"
)

// source answers from memory, and notes what it was asked.
type source struct {
	web.Source // what is not asked for here

	entries []ledger.Entry
	query   ledger.Query
	pending int
	missing int
	// broken is when the known invocation's stream was given up.
	broken time.Time
	// release is the known invocation's, if it has one.
	release *store.Release
	err     error
}

func (s *source) Entries(_ context.Context, q ledger.Query) ([]ledger.Entry, error) {
	s.query = q
	return s.entries[:min(len(s.entries), q.Limit)], s.err
}

func (s *source) Invocation(_ context.Context, id string) (store.Invocation, bool, error) {
	return store.Invocation{ID: id, Build: "the-build", Command: "build", Finished: s.broken.IsZero(), ExitCode: "SUCCESS", BrokenOff: s.broken}, id == "known", s.err
}

func (s *source) Pending(context.Context, string) (int, error) { return s.pending, s.err }

func (s *source) Missing(context.Context, string) (int, error) { return s.missing, s.err }

func (s *source) Release(context.Context, string) (store.Release, bool, error) {
	if s.release == nil {
		return store.Release{}, false, s.err
	}
	return *s.release, true, s.err
}

func (s *source) Outcomes(context.Context, string) (map[ledger.Outcome]int, error) {
	return map[ledger.Outcome]int{ledger.Pushed: 2, ledger.Failed: 1}, s.err
}

func serve(t *testing.T, s *source, ready error) (*operator.Client, string) {
	t.Helper()
	server := httptest.NewServer(web.NewHandler(web.Options{
		Source: s, Ready: func() error { return ready }, Metrics: prometheus.NewRegistry(), Version: "v1", Logger: zerolog.Nop(),
	}))
	t.Cleanup(server.Close)
	client, err := operator.NewClient(server.URL, operator.Login{})
	if err != nil {
		t.Fatal(err)
	}
	return client, server.URL
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return send(t, http.DefaultClient, request)
}

func entries(n int) []ledger.Entry {
	var list []ledger.Entry
	for i := range n {
		list = append(list, ledger.Entry{
			ID: int64(n - i), Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Outcome: ledger.Pushed, Duration: 1500 * time.Millisecond,
			Registry: "ghcr.io", Repository: "acme/app", Digest: "sha256:" + strings.Repeat("ab", 32),
			Tags: []ledger.Tag{{Name: "latest"}}, Target: "//app:push", InvocationID: "known",
		})
	}
	return list
}

func TestClientReadsWhatTheAPIWrites(t *testing.T) {
	s := &source{entries: entries(3), pending: 4}
	client, _ := serve(t, s, nil)
	query := ledger.Query{
		Digest: "d", Registry: "r", Repository: "p", Tag: "t", Target: "l", Invocation: "i", Commit: "c", Outcome: ledger.Failed,
		Since: time.Unix(1, 5).UTC(), Until: time.Unix(2, 0).UTC(), Limit: 2, Before: 9,
	}
	page, err := client.Ledger(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(query, s.query); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(operator.LedgerPage{Entries: s.entries[:2], Next: 2}, page); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
	if page, err = client.Ledger(t.Context(), ledger.Query{}); err != nil || page.Next != 0 || len(page.Entries) != 3 {
		t.Errorf("the last page has %d entries, next %d, error %v", len(page.Entries), page.Next, err)
	}

	invocation, err := client.Invocation(t.Context(), "known")
	if err != nil {
		t.Fatal(err)
	}
	want := operator.Invocation{
		InvocationSummary: operator.InvocationSummary{ID: "known", BuildID: "the-build", Command: "build", Finished: true, ExitCode: "SUCCESS"},
		Pending:           4,
		Outcomes:          map[ledger.Outcome]int{ledger.Pushed: 2, ledger.Failed: 1},
	}
	if diff := cmp.Diff(want, invocation); diff != "" {
		t.Errorf("invocation (-want +got):\n%s", diff)
	}
	_, err = client.Invocation(t.Context(), "who/is?this")
	if _, unknown := errors.AsType[*operator.NotFoundError](err); !unknown {
		t.Errorf("error is %v, want a *NotFoundError", err)
	}
}

func TestWrongQueryIsAProblemThatNamesTheParameter(t *testing.T) {
	_, base := serve(t, &source{}, nil)
	for query, want := range map[string]string{
		"digset=x":      `unknown parameter \"digset\"`,
		"limit=-1":      `limit: \"-1\" must be a whole number greater than 0`,
		"limit=5000":    "limit: 5000 must be between 1 and 1000",
		"since=tuesday": `since: \"tuesday\" must be a time`,
		"outcome=great": `outcome \"great\" is none of`,
	} {
		status, body := get(t, base+operator.LedgerPath+"?"+query)
		if status != http.StatusBadRequest || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want it to contain %s", query, status, body, want)
		}
		var problem operator.Problem
		if err := json.Unmarshal([]byte(body), &problem); err != nil || problem.Status != status {
			t.Errorf("%s: the answer is no problem document: %s", query, body)
		}
	}
}

func TestTroubleIsNotTold(t *testing.T) {
	_, base := serve(t, &source{err: errors.New("password of the database is hunter2")}, nil)
	for _, path := range []string{"/", "/invocations/known", operator.LedgerPath, operator.InvocationPath + "known"} {
		status, body := get(t, base+path)
		if status != http.StatusInternalServerError || strings.Contains(body, "hunter2") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

func TestPagesShowTheLedger(t *testing.T) {
	s := &source{entries: entries(150)}
	s.entries[1].Error = `<script>alert("x")</script>`
	_, base := serve(t, s, nil)
	status, page := get(t, base+"/?repository=acme%2Fapp&tag=")
	for _, want := range []string{"ghcr.io/acme/app", "sha256:abababababab<", "//app:push", "1.50 s", "&lt;script&gt;", `value="acme/app"`, "Older entries"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if status != http.StatusOK || strings.Contains(page, "<script>") {
		t.Errorf("status is %d; a script in it: %t", status, strings.Contains(page, "<script>"))
	}
	if s.query.Repository != "acme/app" || s.query.Tag != "" {
		t.Errorf("query is %+v", s.query)
	}
	_, next, _ := strings.Cut(page, `<p><a href="`)
	next, _, _ = strings.Cut(next, `"`)
	if u, err := url.Parse(strings.ReplaceAll(next, "&amp;", "&")); err != nil || u.Query().Get("before") != "51" || u.Query().Get("repository") != "acme/app" {
		t.Errorf("the next page is %q, %v", next, err)
	}
}

func TestPageOfAnInvocationAsksAgainWhileItIsUnderWay(t *testing.T) {
	s := &source{entries: entries(1), pending: 2}
	_, base := serve(t, s, nil)
	if _, page := get(t, base+"/invocations/known"); !strings.Contains(page, "2 left") || !strings.Contains(page, `http-equiv="refresh"`) {
		t.Errorf("page is %s", page)
	}
	s.pending = 0
	if _, page := get(t, base+"/invocations/known"); !strings.Contains(page, "none left") || strings.Contains(page, `http-equiv="refresh"`) {
		t.Errorf("page is %s", page)
	}
	if status, _ := get(t, base+"/invocations/unknown"); status != http.StatusNotFound {
		t.Errorf("status of an unknown invocation is %d", status)
	}
	s.broken, s.missing = time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC), 4
	_, page := get(t, base+"/invocations/known")
	for _, want := range []string{"its stream broke off, and was given up at 2026-03-02 09:30:00 UTC", "4 expected and never came"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, `http-equiv="refresh"`) {
		t.Error("the page of a build that will never end is loaded again and again")
	}
}

// With no-referrer, a browser sends "Origin: null" with a form, and the form would look like
// one of another site.
func TestPagesLetBrowsersSayWhereAFormComesFrom(t *testing.T) {
	_, base := serve(t, &source{}, nil)
	response, err := http.Get(base + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if got := response.Header.Get("Referrer-Policy"); got != "same-origin" {
		t.Errorf("Referrer-Policy is %q", got)
	}
}

func TestHealth(t *testing.T) {
	_, base := serve(t, &source{}, fmt.Errorf("stopping"))
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/metrics": 200, "/style.css": 200, "/none": 404} {
		if status, _ := get(t, base+path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}
