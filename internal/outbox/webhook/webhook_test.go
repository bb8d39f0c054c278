package webhook

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/outbox"
)

var secret = []byte("a secret of enough bytes for a webhook")

// event is what the tests deliver.
var event = outbox.Event{ID: "drayage-7", Entry: ledger.Entry{
	ID: 3, Time: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), Outcome: ledger.Pushed,
	Registry: "ghcr.io", Repository: "acme/app", Digest: "sha256:ab", Target: "//app:push",
}}

// endpoint starts a server that answers with the status, and a webhook to it.
func endpoint(t *testing.T, handler http.HandlerFunc) *Webhook {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	w, err := New(Options{URL: server.URL + "/hook?token=hidden", Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	w.now = func() time.Time { return time.Unix(1_800_000_000, 0) }
	return w
}

func TestAnEventIsASignedCloudEvent(t *testing.T) {
	var header http.Header
	var body []byte
	w := endpoint(t, func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
	})
	if err := w.Deliver(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	if got, want := header.Get("Webhook-Signature"), sign(secret, "drayage-7", "1800000000", body); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	if got := header.Get("Content-Type"); !strings.HasPrefix(got, "application/cloudevents+json") {
		t.Errorf("content type %s", got)
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	data := got["data"].(map[string]any)
	if data["target"] != "//app:push" || data["outcome"] != "pushed" {
		t.Errorf("data = %v", data)
	}
	delete(got, "data")
	want := map[string]any{
		"specversion": "1.0", "id": "drayage-7", "source": "/drayage", "type": "dev.drayage.push.pushed",
		"subject": "ghcr.io/acme/app@sha256:ab", "time": "2026-03-02T09:00:00Z", "datacontenttype": "application/json",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOtherEventsHaveTypesOfTheirOwn(t *testing.T) {
	for kind, want := range map[outbox.Kind]string{
		outbox.Invocation: "dev.drayage.invocation.completed", outbox.Drift: "dev.drayage.drift.found",
	} {
		var body []byte
		w := endpoint(t, func(_ http.ResponseWriter, r *http.Request) { body, _ = io.ReadAll(r.Body) })
		err := w.Deliver(t.Context(), outbox.Event{
			ID: "drayage-8", Kind: kind, Posted: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
			Message: outbox.Message{Subject: "inv", Body: []byte(`{"sequence":2}`)},
		})
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]any{
			"specversion": "1.0", "id": "drayage-8", "source": "/drayage", "type": want, "subject": "inv",
			"time": "2026-03-02T09:00:00Z", "datacontenttype": "application/json", "data": map[string]any{"sequence": 2.0},
		}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestTheSignatureIsWhatTheSpecificationSays(t *testing.T) {
	// printf 'id.1.body' | openssl dgst -sha256 -hmac key -binary | base64
	const want = "v1,sYA3/+8KvyXbe4KAKZy0QWKFoLKSHDq/QWu0xQZyY7s="
	if got := sign([]byte("key"), "id", "1", []byte("body")); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func TestWhatIsNotTakenIsAnError(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"refused":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such pipeline", http.StatusNotFound) },
		"redirected": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := endpoint(t, handler).Deliver(t.Context(), event)
			if err == nil || strings.Contains(err.Error(), "hidden") {
				t.Errorf("deliver = %v, want an error without the URL's token", err)
			}
		})
	}
}

func TestWhatCannotWorkIsRefusedAtTheStart(t *testing.T) {
	for name, options := range map[string]Options{
		"no host":      {URL: "https:///path?token=hidden", Secret: secret},
		"no scheme":    {URL: "example.com/hook", Secret: secret},
		"short secret": {URL: "https://example.com/hook", Secret: []byte("short")},
	} {
		if _, err := New(options); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v, want an error without the URL's token", name, err)
		}
	}
}
