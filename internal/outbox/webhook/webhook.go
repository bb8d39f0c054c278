// Package webhook delivers events about outcomes to an HTTP endpoint, as
// CloudEvents that are signed.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/outbox"
)

const (
	// timeout bounds one delivery.
	timeout = 10 * time.Second

	// minSecret is the least length of a secret, in bytes.
	minSecret = 24

	// source names the daemon's ledger in the events: a URI reference.
	source = "/drayage"

	// pushPrefix begins the type of an event about a push; the outcome ends it:
	// "dev.drayage.push.denied".
	pushPrefix = "dev.drayage.push."
	// The types of other events.
	typeInvocation = "dev.drayage.invocation.completed"
	typeDrift      = "dev.drayage.drift.found"

	// maxReply bounds how much of an answer is read, for the error's text.
	maxReply = 512
)

// Options are what a webhook works with.
type Options struct {
	// URL is where events are posted. It is HTTPS, or HTTP on a network that you
	// trust: the body says what was pushed and where to.
	URL string
	// Secret signs the events. It must have at least 24 bytes.
	Secret []byte
}

// Webhook is a [outbox.Sink] that posts each event to a URL.
type Webhook struct {
	options Options
	client  *http.Client
	now     func() time.Time
}

// New makes a webhook.
func New(options Options) (*Webhook, error) {
	u, err := url.Parse(options.URL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, errors.New("make webhook: its URL must have the form https://host/path") // the URL may hold a token
	}
	if len(options.Secret) < minSecret {
		return nil, fmt.Errorf("make webhook: its secret must have at least %[2]d bytes, and has %[1]d: openssl rand -base64 32 makes one", len(options.Secret), minSecret)
	}
	return &Webhook{options: options, now: time.Now, client: &http.Client{
		Timeout: timeout,
		// Where a redirect leads was not configured, and would get the event.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// cloudEvent is a CloudEvent 1.0 in its structured JSON form.
type cloudEvent struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject,omitzero"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            any       `json:"data"`
}

// cloudEventOf is an event as the receiver sees it.
func cloudEventOf(event outbox.Event) cloudEvent {
	c := cloudEvent{SpecVersion: "1.0", ID: event.ID, Source: source, DataContentType: "application/json"}
	switch event.Kind {
	case outbox.Invocation:
		c.Type = typeInvocation
	case outbox.Drift:
		c.Type = typeDrift
	default:
		e := event.Entry
		c.Type, c.Subject, c.Time, c.Data = pushPrefix+string(e.Outcome), subjectOf(e), e.Time, e
		return c
	}
	c.Subject, c.Time, c.Data = event.Subject, event.Posted, event.Body
	return c
}

// subjectOf names the image of a push.
func subjectOf(e ledger.Entry) string {
	subject := e.Repository
	if e.Registry != "" {
		subject = e.Registry + "/" + e.Repository
	}
	if e.Digest != "" {
		subject += "@" + e.Digest
	}
	return subject
}

// Deliver implements [outbox.Sink].
func (w *Webhook) Deliver(ctx context.Context, event outbox.Event) error {
	body, err := json.Marshal(cloudEventOf(event), json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return fmt.Errorf("encode event %s: %w", event.ID, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.options.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("deliver event %s: %w", event.ID, withoutURL(err))
	}
	at := strconv.FormatInt(w.now().Unix(), 10)
	request.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	request.Header.Set("User-Agent", "drayaged")
	request.Header.Set("Webhook-Id", event.ID)
	request.Header.Set("Webhook-Timestamp", at)
	request.Header.Set("Webhook-Signature", sign(w.options.Secret, event.ID, at, body))
	response, err := w.client.Do(request)
	if err != nil {
		return fmt.Errorf("deliver event %s: %w", event.ID, withoutURL(err))
	}
	defer response.Body.Close()
	reply, _ := io.ReadAll(io.LimitReader(response.Body, maxReply)) // only for the error's text
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("deliver event %s: the webhook answered %s: %.200q", event.ID, response.Status, reply)
	}
	return nil
}

// sign is the signature of an event, in the form of the Standard Webhooks
// specification (standardwebhooks.com): HMAC-SHA256 over id, timestamp and body.
func sign(secret []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.", id, timestamp)
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// withoutURL takes the URL out of an error of the HTTP client, since it may hold
// a token.
func withoutURL(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err
	}
	return err
}
