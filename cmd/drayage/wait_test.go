package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// waitTool runs drayage wait, and returns what it prints and its exit code.
func waitTool(t *testing.T, args ...string) (string, int) {
	t.Helper()
	out, err := tool(t, append([]string{"wait", "--interval", "1ms"}, args...)...)
	if exit, ok := errors.AsType[*exitError](err); ok {
		return out, exit.code
	}
	if err != nil {
		t.Fatalf("wait has no exit code of its own for %v", err)
	}
	return out, 0
}

// end has an invocation push one target, with an outcome, and end as told.
func (d *testDaemon) end(t *testing.T, outcome ledger.Outcome, invocation store.Invocation) {
	t.Helper()
	if outcome != "" {
		d.enqueue(t, invocation.ID, map[string]string{"//app:push": "a"})
		d.work(t, invocation.ID, func(_ context.Context, job store.Job, _ store.Attempt) (ledger.Entry, error) {
			e := ledger.Entry{
				Outcome: outcome, Registry: "registry.test", Repository: "acme/app", Target: job.Target, InvocationID: job.Invocation,
				Digest: "sha256:" + job.Spec.Hash, Tags: []ledger.Tag{{Name: "latest"}},
			}
			if outcome.Bad() {
				e.Error = "the registry, as it were,\nis on fire"
			}
			return e, nil
		})
	}
	if err := d.store.SaveInvocation(t.Context(), invocation); err != nil {
		t.Fatal(err)
	}
}

func finished(id string, absent ...store.Absent) store.Invocation {
	return store.Invocation{ID: id, Finished: true, ExitCode: "SUCCESS", Absent: absent}
}

func TestTheExitCodeOfWaitTellsHowItWent(t *testing.T) {
	d := newTestDaemon(t)
	unbuilt := store.Absent{Target: "//web:push", State: ledger.ExpectedUnbuilt, Reason: "no compiler"}
	unconfigured := finished("unconfigured")
	unconfigured.Unconfigured = 2
	d.end(t, ledger.Pushed, finished("done"))
	d.end(t, ledger.Failed, finished("failed"))
	d.end(t, ledger.Denied, finished("denied"))
	d.end(t, ledger.Cancelled, finished("cancelled"))
	d.end(t, ledger.Superseded, finished("superseded"))
	d.end(t, ledger.Pushed, finished("unbuilt", unbuilt))
	d.end(t, ledger.Pushed, finished("awaited", store.Absent{Target: "//web:push", State: ledger.ExpectedAwaited}))
	d.end(t, "", unconfigured)
	d.end(t, "", store.Invocation{ID: "going on"})
	for _, row := range []struct {
		args []string
		code int
		word string
	}{
		{[]string{"done"}, 0, "done: 1 pushed"},
		{[]string{"failed"}, 1, "failed: 1 failed"},
		{[]string{"denied"}, 3, "denied: 1 denied"},
		{[]string{"cancelled"}, 5, "cancelled: 1 cancelled"},
		{[]string{"superseded"}, 0, "superseded: 1 superseded"},
		{[]string{"superseded", "--superseded-fails"}, 6, "superseded: 1 superseded"},
		{[]string{"unbuilt"}, 7, "missing: //web:push: unbuilt: no compiler\nincomplete: 1 pushed; 1 push was expected and never came"},
		{[]string{"awaited"}, 7, "missing: //web:push: awaited: the build ended, or broke off"},
		{[]string{"unconfigured"}, 7, "incomplete: nothing pushed; Bazel gave up before it said what 2 targets and patterns are"},
		{[]string{"going on", "--timeout", "20ms"}, 8, "timed-out: time is up: nothing pushed; the build has not ended"},
		{[]string{"nobody", "--timeout", "20ms"}, 9, "unknown: the daemon has not heard of this invocation"},
		{[]string{"done", "--daemon", "http://127.0.0.1:1", "--away", "0"}, 10, "unreachable: the daemon cannot be reached"},
		{[]string{"done", "failed", "unbuilt"}, 1, "unbuilt: incomplete: 1 pushed"},
		{[]string{"done", "denied", "unbuilt"}, 3, "done: done: 1 pushed"},
		{[]string{}, 2, "requires at least 1 arg"},
		{[]string{"done", "--format", "xml"}, 2, "must be table, json, env or github"},
		{[]string{"done", "--nonsense"}, 2, "unknown flag"},
		{[]string{"done", "--daemon", "nonsense"}, 2, "must be the HTTP address of a daemon"},
	} {
		out, code := waitTool(t, row.args...)
		if code != row.code || !strings.Contains(out, row.word) {
			t.Errorf("wait %q ended with %d, want %d and %q:\n%s", row.args, code, row.code, row.word, out)
		}
	}
}

func TestWaitSaysThatAStreamBrokeOff(t *testing.T) {
	start := time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)
	var later atomic.Int64
	d := newTestDaemonWith(t, func() time.Time { return start.Add(time.Duration(later.Load())) })
	d.end(t, "", store.Invocation{ID: "killed"})
	later.Store(int64(time.Hour))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.store.Run(ctx, workFunc(nil), 1) }()
	out, code := waitTool(t, "killed", "--timeout", "1m")
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if code != 7 || !strings.Contains(out, "incomplete: nothing pushed; the build's event stream broke off") {
		t.Errorf("wait ended with %d:\n%s", code, out)
	}
}

func TestWaitWritesForPrograms(t *testing.T) {
	d := newTestDaemon(t)
	d.end(t, ledger.Pushed, finished("good"))
	d.end(t, ledger.Failed, finished("bad", store.Absent{Target: "//it's:push", State: ledger.ExpectedAborted, Reason: "100%\nsure"}))
	outputs := filepath.Join(t.TempDir(), "outputs")
	t.Setenv("GITHUB_OUTPUT", outputs)
	var shown strings.Builder
	for _, format := range []string{"env", "github"} {
		out, _ := waitTool(t, "good", "bad", "-o", format)
		shown.WriteString("$ drayage wait good bad -o " + format + "\n" + out + "\n")
	}
	written, err := os.ReadFile(outputs)
	if err != nil {
		t.Fatal(err)
	}
	shown.WriteString("$ cat $GITHUB_OUTPUT\n")
	shown.Write(written)
	golden(t, "wait.golden", withoutTimes(shown.String()))

	out, _ := waitTool(t, "good", "-o", "json")
	var report waitReport
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if it := report.Invocations[0]; report.ExitCode != 0 || it.Result != waitDone || len(it.Pushes) != 1 || it.Known.Outcomes[ledger.Pushed] != 1 {
		t.Errorf("as JSON it is\n%s", out)
	}
}

// withoutTimes leaves out lines of tables, whose times are those of the machine's zone.
func withoutTimes(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "2026-") && !strings.HasPrefix(line, "TIME ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func TestWaitSurvivesARestartOfTheDaemon(t *testing.T) {
	d := newTestDaemon(t)
	d.end(t, ledger.Pushed, finished("inv"))
	target, err := url.Parse(d.url)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	var asked atomic.Int64
	// It is away at first, and again when the rows are asked for.
	flaky := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := asked.Add(1); {
		case n <= 2:
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
		case n == 4:
			http.Error(w, "starting", http.StatusServiceUnavailable)
		default:
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(flaky.Close)
	out, code := waitTool(t, "inv", "--daemon", flaky.URL)
	if code != 0 || !strings.Contains(out, "done: 1 pushed") || !strings.Contains(out, "trying again for 1m0s") {
		t.Errorf("wait ended with %d:\n%s", code, out)
	}
}
