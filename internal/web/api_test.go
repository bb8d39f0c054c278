package web_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	_ "modernc.org/sqlite" // the database in which events are given up

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/internal/web"
)

// worker pushes what is called good, and fails at the rest.
type worker struct{}

func (worker) Work(_ context.Context, job store.Job, _ store.Attempt) (ledger.Entry, error) {
	e := ledger.Entry{
		Outcome: ledger.Pushed, Registry: "registry.test", Repository: "app", Target: job.Target, InvocationID: job.Invocation,
		Digest: "sha256:" + job.Spec.Hash, Tags: []ledger.Tag{{Name: "latest"}},
	}
	if !strings.HasSuffix(job.Target, "good") {
		e.Outcome, e.Error = ledger.Failed, "it is bad"
	}
	return e, nil
}

// daemon serves the API over a store of its own.
func daemon(t *testing.T) (*store.Store, *operator.Client, string) {
	t.Helper()
	return daemonAt(t, filepath.Join(t.TempDir(), "drayage.db"), store.Options{})
}

// daemonAt serves the API over a store of this kind.
func daemonAt(t *testing.T, path string, options store.Options) (*store.Store, *operator.Client, string) {
	t.Helper()
	options.Logger = zerolog.Nop()
	s, err := store.Open(t.Context(), path, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	server := httptest.NewServer(web.NewHandler(web.Options{
		Source: s, Ready: func() error { return nil }, Metrics: prometheus.NewRegistry(), Logger: zerolog.Nop(),
	}))
	t.Cleanup(server.Close)
	client, err := operator.NewClient(server.URL, operator.Login{})
	if err != nil {
		t.Fatal(err)
	}
	return s, client, server.URL
}

func spec(digit string) store.SpecRef {
	return store.SpecRef{Function: "sha256", Hash: strings.Repeat(digit, 64), Size: 1}
}

func enqueue(t *testing.T, s *store.Store, jobs ...store.Job) {
	t.Helper()
	for _, job := range jobs {
		if err := s.SaveInvocation(t.Context(), store.Invocation{ID: job.Invocation, Command: "build", Started: time.Unix(1e9, 0)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Enqueue(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
}

// work does the jobs of an invocation.
func work(t *testing.T, s *store.Store, invocation string) {
	t.Helper()
	workWith(t, s, invocation, worker{})
}

// workWith has a worker do the jobs of an invocation.
func workWith(t *testing.T, s *store.Store, invocation string, w store.Worker) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, w, 2) }()
	err := s.Wait(ctx, invocation)
	stop()
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
}

func TestInvocationsComeInPages(t *testing.T) {
	s, client, _ := daemon(t)
	for i, id := range []string{"old", "middle", "new"} {
		if err := s.SaveInvocation(t.Context(), store.Invocation{ID: id, Started: time.Unix(int64(1e9+i), 0)}); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	var pages int
	for before := ""; ; pages++ {
		page, err := client.Invocations(t.Context(), before, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.Invocations {
			ids = append(ids, i.ID)
		}
		if before = page.Next; before == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"new", "middle", "old"}, ids); diff != "" || pages != 1 {
		t.Errorf("%d further pages; invocations (-want +got):\n%s", pages, diff)
	}
	if _, err := client.Invocations(t.Context(), "nobody", 2); err == nil || !strings.Contains(err.Error(), `"nobody"`) {
		t.Errorf("a cursor that leads nowhere: %v", err)
	}
}

func TestExpectedAndComparisonOfInvocations(t *testing.T) {
	s, client, _ := daemon(t)
	enqueue(t, s, store.Job{Invocation: "first", Target: "//:good", Spec: spec("a")}, store.Job{Invocation: "first", Target: "//:bad", Spec: spec("b")})
	enqueue(t, s, store.Job{Invocation: "second", Target: "//:good", Spec: spec("c")})
	absent := store.Absent{Target: "//:never", State: ledger.ExpectedAborted, Reason: "analysis failed"}
	if err := s.SaveInvocation(t.Context(), store.Invocation{ID: "first", Absent: []store.Absent{absent}}); err != nil {
		t.Fatal(err)
	}
	work(t, s, "first")
	work(t, s, "second")

	set, err := client.Expected(t.Context(), "first")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, e := range set.Expected {
		told = append(told, e.Target+" "+string(e.State)+" "+string(e.Outcome)+e.Reason)
	}
	if diff := cmp.Diff([]string{"//:bad ended failed", "//:good ended pushed", "//:never aborted analysis failed"}, told); diff != "" {
		t.Errorf("expected (-want +got):\n%s", diff)
	}

	comparison, err := client.Compare(t.Context(), "first", "second")
	if err != nil {
		t.Fatal(err)
	}
	told = nil
	for _, d := range comparison.Differences {
		told = append(told, d.Target+" "+string(d.Change))
	}
	if diff := cmp.Diff([]string{"//:bad removed", "//:good changed"}, told); diff != "" {
		t.Errorf("comparison (-want +got):\n%s", diff)
	}

	if _, err := client.Expected(t.Context(), "nobody"); !unknown(err) {
		t.Errorf("what is expected of an unknown invocation: %v", err)
	}
	if _, err := client.Compare(t.Context(), "first", "nobody"); !unknown(err) || !strings.Contains(err.Error(), `"nobody"`) {
		t.Errorf("a comparison with an unknown invocation: %v", err)
	}
}

// unknown tells whether the daemon said that it does not know what was asked for.
func unknown(err error) bool {
	_, ok := errors.AsType[*operator.NotFoundError](err)
	return ok
}

func TestLogIsVerifiedAndProves(t *testing.T) {
	s, client, _ := daemon(t)
	if _, err := client.Checkpoint(t.Context()); !unknown(err) {
		t.Errorf("the checkpoint of an empty ledger: %v", err)
	}
	enqueue(t, s, store.Job{Invocation: "i", Target: "//:good", Spec: spec("a")}, store.Job{Invocation: "i", Target: "//:better.good", Spec: spec("b")})
	work(t, s, "i")
	proofs, err := client.Prove(t.Context(), "sha256:"+strings.Repeat("a", 64))
	if err != nil || len(proofs) != 1 {
		t.Fatalf("%d proofs, %v", len(proofs), err)
	}
	text, err := client.LogKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(text))
	if entry, _, err := proofs[0].Verify([]string{key}); err != nil || entry.Target != "//:good" {
		t.Errorf("the proof is of %q, %v", entry.Target, err)
	}
	checkpoint, err := client.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	report, err := client.Verify(t.Context(), operator.VerifyRequest{Keys: []string{key}, Checkpoints: []string{string(checkpoint)}})
	if err != nil || report.Rows != 2 || len(report.Problems) != 0 || report.Root == "" {
		t.Errorf("report is %+v, %v", report, err)
	}
	_, other, err := ledger.NewKey("other")
	if err != nil {
		t.Fatal(err)
	}
	if report, err := client.Verify(t.Context(), operator.VerifyRequest{Keys: []string{other}}); err != nil || len(report.Problems) == 0 {
		t.Errorf("a log that another key has to have signed: %+v, %v", report, err)
	}
	for want, request := range map[string]operator.VerifyRequest{
		"must be a verifier key": {Keys: []string{"nonsense"}},
		"none of the keys given": {Keys: []string{other}, Checkpoints: []string{string(checkpoint)}},
		"checkpoints[0]":         {Checkpoints: []string{"nonsense"}},
		"at most 16":             {Keys: make([]string, 17)},
		"1001 were given":        {Checkpoints: make([]string, 1001)},
	} {
		if _, err := client.Verify(t.Context(), request); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want it to contain %q", err, want)
		}
	}
	if _, err := client.Prove(t.Context(), "sha256:"+strings.Repeat("f", 64)); !unknown(err) {
		t.Errorf("a proof of what was not pushed: %v", err)
	}
	if _, err := client.Prove(t.Context(), "sha256:abc"); err == nil || !strings.Contains(err.Error(), "its first 6 digits") {
		t.Errorf("a proof of too little of a digest: %v", err)
	}
	if proofs, err := client.Prove(t.Context(), "bbbbbb"); err != nil || len(proofs) != 1 {
		t.Errorf("%d proofs of a digest by its beginning, %v", len(proofs), err)
	}
}

func TestABeginningOfSeveralDigestsIsTheClientsMistake(t *testing.T) {
	s, client, base := daemon(t)
	for _, end := range []string{"1", "2"} {
		hash := strings.Repeat("a", 63) + end
		enqueue(t, s, store.Job{Invocation: "i", Target: "//" + end + ":good", Spec: store.SpecRef{Function: "sha256", Hash: hash, Size: 1}})
	}
	work(t, s, "i")
	for _, path := range []string{operator.LedgerPath, operator.ProofsPath, "/"} {
		status, body := get(t, base+path+"?digest=sha256:aaaaaa")
		if status != http.StatusBadRequest || !strings.Contains(body, "several begin with sha256:aaaaaa") || !strings.Contains(body, "give more of it") {
			t.Errorf("%s answers %d %s", path, status, body)
		}
	}
	if page, err := client.Ledger(t.Context(), ledger.Query{Digest: strings.Repeat("a", 63) + "2"}); err != nil || len(page.Entries) != 1 {
		t.Errorf("%d rows of the whole digest, %v", len(page.Entries), err)
	}
}

func TestJobsAreListedCancelledAndBegunAnew(t *testing.T) {
	s, client, _ := daemon(t)
	enqueue(t, s, store.Job{Invocation: "i", Target: "//:a.good", Spec: spec("a")}, store.Job{Invocation: "i", Target: "//:b.good", Spec: spec("b")})
	page, err := client.Jobs(t.Context(), "i", 0, 1)
	if err != nil || len(page.Jobs) != 1 || page.Jobs[0].Target != "//:a.good" || page.Jobs[0].State != "waiting" {
		t.Fatalf("first page is %+v, %v", page, err)
	}
	if page, err = client.Jobs(t.Context(), "", page.Next, 10); err != nil || len(page.Jobs) != 1 || page.Jobs[0].Target != "//:b.good" {
		t.Fatalf("second page is %+v, %v", page, err)
	}
	if page, err = client.Jobs(t.Context(), "", page.Next, 10); err != nil || len(page.Jobs) != 0 || page.Next != 0 {
		t.Fatalf("last page is %+v, %v", page, err)
	}
	for _, step := range []struct {
		what string
		act  func(context.Context, operator.Selection) (operator.Acted, error)
		with operator.Selection
		want int
	}{
		{"cancel one", client.Cancel, operator.Selection{Target: "//:b.good"}, 1},
		{"cancel it again", client.Cancel, operator.Selection{Target: "//:b.good"}, 0},
		{"retry", client.Retry, operator.Selection{Invocation: "i"}, 1},
		{"requeue", client.Requeue, operator.Selection{All: true}, 1},
	} {
		acted, err := step.act(t.Context(), step.with)
		if err != nil || acted.Jobs != step.want || acted.Gone != 0 {
			t.Errorf("%s: %+v, %v; want %d", step.what, acted, err, step.want)
		}
	}
	work(t, s, "i")
	if i, err := client.Invocation(t.Context(), "i"); err != nil || i.Outcomes[ledger.Pushed] != 2 {
		t.Errorf("invocation is %+v, %v", i, err)
	}
}

// heard is a sink that passes events on.
type heard chan store.Event

func (h heard) Deliver(_ context.Context, event store.Event) error {
	h <- event
	return nil
}

func TestEventsThatWereGivenUpAreListedAndRedelivered(t *testing.T) {
	events := make(heard, 10)
	path := filepath.Join(t.TempDir(), "drayage.db")
	s, client, _ := daemonAt(t, path, store.Options{Sinks: map[string]store.Sink{"ci": events}})
	enqueue(t, s, store.Job{Invocation: "i", Target: "//:good", Spec: spec("a")})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, worker{}, 1) }()
	first := <-events
	giveUp(t, path, first.Entry.ID)

	page, err := client.DeadLetters(ctx, "ci", 0, 1)
	if err != nil || len(page.DeadLetters) != 1 || page.DeadLetters[0].Error != "503 Service Unavailable" || page.DeadLetters[0].Entry != first.Entry.ID {
		t.Fatalf("dead letters are %+v, %v", page, err)
	}
	if rest, err := client.DeadLetters(ctx, "", page.Next, 1); err != nil || len(rest.DeadLetters) != 0 || rest.Next != 0 {
		t.Errorf("the page after the last is %+v, %v", rest, err)
	}
	redelivered, err := client.Redeliver(ctx, operator.Redelivery{Events: []int64{page.DeadLetters[0].Event}})
	if err != nil || redelivered.Events != 1 {
		t.Fatalf("redelivered %+v, %v", redelivered, err)
	}
	if again := <-events; again.Entry.Target != "//:good" || !strings.HasSuffix(again.ID, fmt.Sprintf("-%d", page.DeadLetters[0].Event)) {
		t.Errorf("the event that came is %+v", again)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// giveUp leaves in the outbox what fifty refusals do.
func giveUp(t *testing.T, path string, entry int64) {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), `INSERT INTO outbox (sink, entry_id, due, attempts, state, error)
		VALUES ('ci', ?, ?, 50, 'dead', '503 Service Unavailable')`, entry, time.Now().UnixMicro()); err != nil { // what is old is removed
		t.Fatal(err)
	}
}

func TestRequestsThatChangeSomethingAreGuarded(t *testing.T) {
	s, _, base := daemon(t)
	enqueue(t, s, store.Job{Invocation: "i", Target: "//:good", Spec: spec("a")})
	for _, row := range []struct {
		name, method, path, body string
		header                   map[string]string
		status                   int
	}{
		{"a GET", "GET", operator.CancelPath, "", nil, 405},
		{"a form of another site", "POST", operator.CancelPath, `{"all":true}`, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"a body that is a form", "POST", operator.CancelPath, `{"all":true}`, map[string]string{"Content-Type": "text/plain"}, 415},
		{"no type", "POST", operator.CancelPath, `{"all":true}`, map[string]string{"Content-Type": ""}, 415},
		{"no JSON", "POST", operator.CancelPath, `all`, nil, 400},
		{"a field that is misspelled", "POST", operator.CancelPath, `{"al":true}`, nil, 400},
		{"two documents", "POST", operator.CancelPath, `{"all":true}{}`, nil, 400},
		{"no selection", "POST", operator.CancelPath, `{}`, nil, 400},
		{"a selection of nothing", "POST", operator.RequeuePath, `{"job":-1}`, nil, 400},
		{"no selection of events", "POST", operator.RedeliverPath, `{}`, nil, 400},
		{"too many events", "POST", operator.RedeliverPath, `{"events":[` + strings.Repeat("1,", operator.MaxEvents) + `1]}`, nil, 400},
		{"a body without end", "POST", operator.CancelPath, `{"target":"` + strings.Repeat("x", operator.MaxBody) + `"}`, nil, 413},
		{"a path that is not there", "POST", "/api/v2/jobs", `{}`, nil, 404},
		{"a list with an unknown parameter", "GET", operator.JobsPath + "?invocaton=i", "", nil, 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), row.method, base+row.path, strings.NewReader(row.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			for name, value := range row.header {
				request.Header.Set(name, value)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != row.status || response.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s: %s, want %d as a problem", response.Status, response.Header.Get("Content-Type"), body, row.status)
			}
		})
	}
	if n, err := s.Backlog(t.Context()); err != nil || n != 1 {
		t.Errorf("%d jobs are left, %v; want the one that there was", n, err)
	}
}

func TestOpenAPIDocumentIsServed(t *testing.T) {
	_, _, base := daemon(t)
	if status, body := get(t, base+operator.OpenAPIPath); status != http.StatusOK || !strings.Contains(body, `"openapi": "3.1.0"`) {
		t.Errorf("%d %.100s", status, body)
	}
}
