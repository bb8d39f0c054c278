package web_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/internal/web"
)

// access knows clients by their tokens. Everybody may read.
type access struct{}

func (access) Client(r *http.Request) (string, error) {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !found {
		_, token, found = r.BasicAuth()
	}
	if !found {
		return "address:127.0.0.1", nil
	}
	return "token:" + token, nil
}

func (access) MayRead(string) bool                   { return true }
func (access) MayOperate(client string) bool         { return client == "token:operator" }
func (access) MayPromote(client string) bool         { return client == "token:eve" || client == "token:chief" }
func (access) MayPromoteWithheld(client string) bool { return client == "token:chief" }

// workFunc is a worker.
type workFunc func(context.Context, store.Job, store.Attempt) (ledger.Entry, error)

func (w workFunc) Work(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
	return w(ctx, job, attempt)
}

// gated stages what is to be pushed, and does with the tags what the release says.
type gated struct{ store *store.Store }

const (
	gatedDigest    = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	previousDigest = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func (g gated) Work(ctx context.Context, job store.Job, _ store.Attempt) (ledger.Entry, error) {
	e := ledger.Entry{
		Outcome: ledger.Staged, Gate: "approved", Registry: "registry.test", Repository: "acme/app", Digest: gatedDigest, Target: job.Target,
		InvocationID: job.Invocation, SpecDigest: job.Spec.Digest(),
	}
	release, _, err := g.store.Release(ctx, job.Invocation)
	if err != nil {
		return e, err
	}
	switch {
	case job.Action == store.ActionPush:
		e.HeldTags = []string{"latest", "v1"}
	case job.Action == store.ActionRestore:
		e.Outcome, e.By = ledger.RolledBack, release.By
		e.Tags = []ledger.Tag{{Name: "latest", Previous: gatedDigest, Digest: previousDigest}, {Name: "v1", Previous: gatedDigest, Digest: "none"}}
	case release.State == store.ReleaseOpen:
		e.Outcome, e.By, e.Tags = ledger.Pushed, release.By, []ledger.Tag{{Name: "latest", Previous: previousDigest}, {Name: "v1"}}
	default:
		e.Outcome, e.By, e.HeldTags, e.ErrorClass, e.Error = ledger.Withheld, release.By, []string{"latest", "v1"}, release.Class, release.Reason
	}
	return e, nil
}

// gatedDaemon serves a store with two builds that wait for approval: one that ended well,
// and one that is red.
type gatedDaemon struct {
	store *store.Store
	url   string
	log   *strings.Builder
}

func newGatedDaemon(t *testing.T) *gatedDaemon {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "drayage.db"), store.Options{Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	d := &gatedDaemon{store: s, log: &strings.Builder{}}
	server := httptest.NewServer(web.NewHandler(web.Options{
		Source: s, Access: access{}, Ready: func() error { return nil }, Metrics: prometheus.NewRegistry(), Logger: zerolog.New(d.log),
	}))
	t.Cleanup(server.Close)
	d.url = server.URL
	for id, exitCode := range map[string]string{"green": "SUCCESS", "red": "TESTS_FAILED"} {
		enqueue(t, s, store.Job{Invocation: id, Target: "//app:push", Spec: spec("a")})
		if err := s.SaveInvocation(t.Context(), store.Invocation{ID: id, Finished: true, ExitCode: exitCode}); err != nil {
			t.Fatal(err)
		}
		d.work(t, id)
	}
	return d
}

// work does the jobs of an invocation.
func (d *gatedDaemon) work(t *testing.T, invocation string) {
	t.Helper()
	workWith(t, d.store, invocation, gated{d.store})
}

// client is an operator who shows a token, or none.
func (d *gatedDaemon) client(t *testing.T, token string) *operator.Client {
	t.Helper()
	login := operator.Login{}
	if token != "" {
		login.Token = filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(login.Token, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	client, err := operator.NewClient(d.url, login)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// newest is the newest row of an invocation.
func (d *gatedDaemon) newest(t *testing.T, invocation string) ledger.Entry {
	t.Helper()
	rows, err := d.store.Entries(t.Context(), ledger.Query{Invocation: invocation, Limit: 1})
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d rows of %s, %v", len(rows), invocation, err)
	}
	return rows[0]
}

func TestAReleaseIsPromotedAndRolledBackOverTheAPI(t *testing.T) {
	d := newGatedDaemon(t)
	eve := d.client(t, "eve")
	before, err := eve.Invocation(t.Context(), "green")
	if err != nil || before.Release == nil || !before.AwaitsApproval() || !before.Settled() || before.Outcomes[ledger.Staged] != 1 {
		t.Fatalf("the invocation is %+v, %v", before, err)
	}
	decided, err := eve.Promote(t.Context(), operator.Decision{Invocation: "green", Reason: "the canary is well"})
	if err != nil || decided.Release.State != operator.ReleaseOpen || decided.Release.By != "token:eve" || decided.Release.Decided.IsZero() {
		t.Fatalf("promote says %+v, %v", decided, err)
	}
	if known, err := eve.Invocation(t.Context(), "green"); err != nil || known.Settled() || known.Pending != 1 {
		t.Errorf("before the tags have moved, the invocation is %+v, %v", known, err)
	}
	d.work(t, "green")
	if row := d.newest(t, "green"); row.Outcome != ledger.Pushed || row.By != "token:eve" {
		t.Errorf("the row is %+v", row)
	}
	if _, err := eve.Promote(t.Context(), operator.Decision{Invocation: "green"}); !conflict(err) || !strings.Contains(err.Error(), "have been released") {
		t.Errorf("a second promote: %v", err)
	}
	if _, err := eve.Reject(t.Context(), operator.Decision{Invocation: "green", Reason: "no"}); !conflict(err) || !strings.Contains(err.Error(), "roll it back") {
		t.Errorf("a late rejection: %v", err)
	}

	decided, err = eve.Rollback(t.Context(), operator.Decision{Invocation: "green", Reason: "it loses orders"})
	if err != nil || decided.Pushes != 1 || decided.Release.Class != "rolled-back" || decided.Release.Reason != "it loses orders" {
		t.Fatalf("rollback says %+v, %v", decided, err)
	}
	d.work(t, "green")
	if row := d.newest(t, "green"); row.Outcome != ledger.RolledBack || row.Tags[0].Digest != previousDigest {
		t.Errorf("the row is %+v", row)
	}
	for _, audit := range []string{
		`"client":"token:eve","invocation":"green","decision":"promote","reason":"the canary is well","was":"waiting"`,
		`"client":"token:eve","invocation":"green","decision":"rollback","reason":"it loses orders","was":"open","pushes":1`,
	} {
		if !strings.Contains(d.log.String(), audit) {
			t.Errorf("the log lacks %s:\n%s", audit, d.log)
		}
	}
}

func conflict(err error) bool {
	_, ok := errors.AsType[*operator.ConflictError](err)
	return ok
}

func TestWhoMayDecideAboutAReleaseIsTheClientAndNotTheBody(t *testing.T) {
	d := newGatedDaemon(t)
	for _, row := range []struct {
		token, path, body string
		status            int
		want              string
	}{
		{"", operator.PromotePath, `{"invocation":"green"}`, 401, "policy.promote"},
		{"operator", operator.PromotePath, `{"invocation":"green"}`, 403, "token:operator is not in the daemon's policy.promote"},
		{"operator", operator.RejectPath, `{"invocation":"green","reason":"no"}`, 403, "policy.promote"},
		{"operator", operator.RollbackPath, `{"invocation":"green"}`, 403, "policy.promote"},
		{"operator", operator.LiftPath, `{"registry":"registry.test","repository":"acme/app","tag":"v1"}`, 403, "policy.promote"},
		{"eve", operator.CancelPath, `{"all":true}`, 403, "policy.operate"},
		{"eve", operator.PromotePath, `{"invocation":"green","by":"token:chief"}`, 400, "unknown"},
		{"eve", operator.PromotePath, `{}`, 400, "invocation: must be given"},
		{"eve", operator.RejectPath, `{"invocation":"green"}`, 400, "reason: must be given"},
		{"eve", operator.RejectPath, `{"invocation":"green","reason":"` + strings.Repeat("x", operator.MaxReason+1) + `"}`, 400, "at most 1000"},
		{"eve", operator.PromotePath, `{"invocation":"` + strings.Repeat("x", operator.MaxBody) + `"}`, 413, "at most"},
		{"eve", operator.PromotePath, `{"invocation":"nobody"}`, 404, "does not know invocation \\\"nobody\\\""},
		{"eve", operator.RejectPath, `{"invocation":"nobody","reason":"no"}`, 404, "does not know invocation"},
		{"eve", operator.RollbackPath, `{"invocation":"nobody"}`, 404, "does not know invocation"},
		{"eve", operator.RollbackPath, `{"invocation":"red"}`, 409, "has moved no tags: they are withheld"},
		{"eve", operator.PromotePath, `{"invocation":"red"}`, 403, "TESTS_FAILED; token:eve is not in the daemon's policy.promote_withheld"},
		{"chief", operator.PromotePath, `{"invocation":"red"}`, 200, `"state":"open"`},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+row.path, strings.NewReader(row.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		if row.token != "" {
			request.Header.Set("Authorization", "Bearer "+row.token)
		}
		if status, body := send(t, http.DefaultClient, request); status != row.status || !strings.Contains(body, row.want) {
			t.Errorf("%s posts %.80s to %s: %d %s; want %d and %q", row.token, row.body, row.path, status, body, row.status, row.want)
		}
	}
	d.work(t, "red")
	if row := d.newest(t, "red"); row.Outcome != ledger.Pushed || row.By != "token:chief" {
		t.Errorf("the withheld build's newest row is %+v", row)
	}
	if known, err := d.client(t, "").Invocation(t.Context(), "green"); err != nil || known.Release.State != operator.ReleaseWaiting {
		t.Errorf("what nobody was let decide is %+v, %v", known, err)
	}
}

func send(t *testing.T, client *http.Client, request *http.Request) (int, string) {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestFencesAreShownAndLifted(t *testing.T) {
	s, client, _ := daemon(t)
	enqueue(t, s, store.Job{Invocation: "i", Target: "//app:good", Spec: spec("a")})
	workWith(t, s, "i", workFunc(func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		e := ledger.Entry{
			Outcome: ledger.Pushed, Registry: "index.docker.io", Repository: "library/app", Target: job.Target, InvocationID: job.Invocation,
			Digest: gatedDigest, Tags: []ledger.Tag{{Name: "v1"}},
		}
		_, err := s.ClaimTags(ctx, attempt, store.TagClaim{
			Registry: e.Registry, Repository: e.Repository, Tags: []string{"v1"}, Digest: e.Digest, Invocation: job.Invocation, Target: job.Target, Started: time.Unix(1e9, 0),
		})
		return e, err
	}))

	list, err := client.Fences(t.Context(), "docker.io", "app", "")
	if err != nil {
		t.Fatal(err)
	}
	want := []operator.Fence{{
		Registry: "index.docker.io", Repository: "library/app", Tag: "v1", Digest: gatedDigest, InvocationID: "i", Target: "//app:good", Started: time.Unix(1e9, 0).UTC(),
	}}
	if diff := cmp.Diff(want, list.Fences); diff != "" || list.More {
		t.Errorf("fences (-want +got):\n%s", diff)
	}
	tag := operator.FencedTag{Registry: "docker.io", Repository: "app", Tag: "v1"}
	if lifted, err := client.LiftFence(t.Context(), tag); err != nil || lifted.Fences != 1 {
		t.Errorf("lifted %+v, %v", lifted, err)
	}
	if lifted, err := client.LiftFence(t.Context(), tag); err != nil || lifted.Fences != 0 {
		t.Errorf("lifted again %+v, %v", lifted, err)
	}
	list, err = client.Fences(t.Context(), "docker.io", "app", "v1")
	if err != nil || len(list.Fences) != 1 || !list.Fences[0].Started.IsZero() || list.Fences[0].Lifted.IsZero() || !strings.HasPrefix(list.Fences[0].LiftedBy, "127.0.0.1:") {
		t.Errorf("after that the fences are %+v, %v", list, err)
	}
	tag.Tag = "v2"
	if _, err := client.LiftFence(t.Context(), tag); !unknown(err) || !strings.Contains(err.Error(), "index.docker.io/library/app:v2") {
		t.Errorf("a tag that nobody wrote: %v", err)
	}
	tag.Tag = ""
	if _, err := client.LiftFence(t.Context(), tag); err == nil || !strings.Contains(err.Error(), "tag: must be given") {
		t.Errorf("no tag: %v", err)
	}
	if _, err := client.Fences(t.Context(), "docker.io", "", ""); err == nil || !strings.Contains(err.Error(), "repository: must be given") {
		t.Errorf("no repository: %v", err)
	}
}

// browser is somebody who sees the pages, and shows a token if one is asked for.
type browser struct {
	token  string
	client http.Client
}

func newBrowser(t *testing.T, token string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{token: token, client: http.Client{Jar: jar}}
}

// open shows a page, or sends a form.
func (b *browser) open(t *testing.T, address string, form url.Values, header ...string) (int, string) {
	t.Helper()
	method, body := http.MethodGet, ""
	if form != nil {
		method, body = http.MethodPost, form.Encode()
	}
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	if b.token != "" {
		request.SetBasicAuth("", b.token)
	}
	return send(t, &b.client, request)
}

// decisions are the pages that a page of an invocation leads to.
func decisions(page string) []string {
	var names []string
	for part := range strings.SplitSeq(page, `<form method="get" action="/invocations/`) {
		if address, _, found := strings.Cut(part, `"><button>`); found && strings.Count(address, "/") == 1 {
			names = append(names, address)
		}
	}
	return names
}

func TestTheTagsOfABuildArePromotedRejectedAndRolledBackOnItsPage(t *testing.T) {
	d := newGatedDaemon(t)
	eve, chief, operates, nobody := newBrowser(t, "eve"), newBrowser(t, "chief"), newBrowser(t, "operator"), newBrowser(t, "")
	green := d.url + "/invocations/green"
	_, page := eve.open(t, green, nil)
	for _, want := range []string{
		"Release: waiting for approval", "nobody has approved it yet", "approved: every push is in its registry, the build has ended well, and somebody has promoted it",
		`<p class="held">kept back: <span class="tag">latest</span> <span class="tag">v1</span></p>`, `<span class="outcome staged">staged</span>`,
		`http-equiv="refresh" content="15"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	for who, want := range map[*browser][]string{eve: {"green/promote", "green/reject"}, operates: nil, nobody: {"green/promote", "green/reject"}} {
		_, page := who.open(t, green, nil)
		if diff := cmp.Diff(want, decisions(page)); diff != "" {
			t.Errorf("with the token %q the page leads to (-want +got):\n%s", who.token, diff)
		}
	}

	for _, row := range []struct {
		what   string
		who    *browser
		path   string
		form   url.Values
		header []string
		status int
		want   string
	}{
		{"a page that needs a token", nobody, "/promote", nil, nil, 401, "policy.promote"},
		{"a form without one", nobody, "/promote", url.Values{}, nil, 401, "policy.promote"},
		{"a client who may not", operates, "/promote", url.Values{}, nil, 403, "policy.promote"},
		{"a form of another site", eve, "/promote", url.Values{}, []string{"Sec-Fetch-Site", "cross-site"}, 403, "comes from another site"},
		{"a form of another origin", eve, "/promote", url.Values{}, []string{"Sec-Fetch-Site", "", "Origin", "https://evil.example"}, 403, "comes from another site"},
		{"JSON", eve, "/promote", url.Values{}, []string{"Content-Type", "application/json"}, 415, "must be a form"},
		{"a form without end", eve, "/promote", url.Values{"reason": {strings.Repeat("x", 20_000)}}, nil, 413, "too large"},
		{"a rejection without a reason", eve, "/reject", url.Values{}, nil, 400, "reason: must be given"},
		{"the page of what cannot be done", eve, "/rollback", nil, nil, 200, "Release: waiting"},
		{"the page that asks whether it is meant", eve, "/promote", nil, nil, 200, `<form class="decision" method="post" action="/invocations/green/promote">`},
		{"a promote", eve, "/promote", url.Values{"reason": {"<b>well"}}, nil, 200, "Release: open"},
	} {
		if status, body := row.who.open(t, green+row.path, row.form, row.header...); status != row.status || !strings.Contains(body, row.want) {
			t.Errorf("%s: %d, want %d and %q:\n%s", row.what, status, row.status, row.want, body)
		}
	}
	d.work(t, "green")
	_, page = eve.open(t, green, nil)
	if diff := cmp.Diff([]string{"green/rollback"}, decisions(page)); diff != "" || !strings.Contains(page, "decided by token:eve") || strings.Contains(page, `http-equiv="refresh"`) {
		t.Errorf("once the tags have moved the page leads to (-want +got):\n%s\n%s", diff, page)
	}
	_, page = eve.open(t, green+"/rollback", nil)
	for _, want := range []string{`registry.test/acme/app <span class="tag">latest</span></td><td><code title="` + gatedDigest, `<code title="` + previousDigest, "nothing: it is removed"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of the rollback lacks %q:\n%s", want, page)
		}
	}
	if _, page = eve.open(t, green+"/rollback", url.Values{"reason": {"it loses <orders>"}}); !strings.Contains(page, "it loses &lt;orders&gt;") {
		t.Errorf("after the rollback the page is\n%s", page)
	}
	d.work(t, "green")
	_, page = eve.open(t, green, nil)
	for _, want := range []string{`<span class="outcome rolled-back">rolled-back</span>`, `<span class="tag">v1</span> removed`, `<span class="tag">latest</span> now <a`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}

	// What is withheld is for those whom the policy names.
	red := d.url + "/invocations/red"
	_, page = eve.open(t, red, nil)
	if _, page := nobody.open(t, red, nil); !strings.Contains(page, "Promote all the same") {
		t.Error("somebody who has shown no token yet is not asked for one")
	}
	if got := decisions(page); len(got) > 0 || !strings.Contains(page, "TESTS_FAILED") || !strings.Contains(page, `<span class="outcome withheld bad">withheld</span>`) {
		t.Errorf("the page of a withheld build leads to %q:\n%s", got, page)
	}
	if status, page := eve.open(t, red+"/rollback", url.Values{}); status != http.StatusConflict || !strings.Contains(page, "has moved no tags") || !strings.Contains(page, "Back to the invocation") {
		t.Errorf("a rollback of nothing: %d\n%s", status, page)
	}
	if _, page = chief.open(t, red, nil); !strings.Contains(page, "Promote all the same") {
		t.Errorf("the page does not let the chief promote a withheld build:\n%s", page)
	}
	if _, page = chief.open(t, red+"/promote", url.Values{}); !strings.Contains(page, "Release: open") {
		t.Errorf("the chief's promote leads to\n%s", page)
	}
}
