package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
)

// host is one registry, and what is known of it.
type host struct {
	client *Client
	name   name.Registry
	base   string // https://ghcr.io
	traits atomic.Pointer[Quirks]
	auth   *auth
	pace   *pacer
	// reach is how it is reached, and http does it.
	reach reach
	http  *http.Client

	// first is held by the request that learns how the registry wants to be
	// authenticated to, so that others need not be refused as well.
	first chan struct{}
	// met is set once an answer has come.
	met atomic.Bool
	// moved is when a request last made progress, or an answer came that was not one
	// of distress, in nanoseconds since 1970.
	moved atomic.Int64
	// unresolved is when the host's name first did not resolve, in the same way, or 0.
	unresolved atomic.Int64
	// learned is what the registry's answers showed that it can do.
	learned learned
}

func (h *host) progress() { h.moved.Store(h.client.opts.Now().UnixNano()) }

func newHost(c *Client, registry name.Registry) *host {
	quirks := c.quirks(registry.RegistryStr())
	h := &host{
		client: c,
		name:   registry,
		reach:  c.reachOf(registry.RegistryStr()),
		pace:   newPacer(c.opts, quirks.Rate),
		first:  make(chan struct{}, 1),
	}
	h.base = h.reach.scheme() + "://" + registry.RegistryStr()
	h.http = c.clientOf(&h.reach)
	h.auth = newAuth(h)
	h.traits.Store(&quirks)
	h.learned.init()
	return h
}

func (h *host) now() time.Time { return h.client.opts.Now() }

// call is one request.
type call struct {
	// op says what it is for, in errors.
	op     string
	method string
	url    string
	header http.Header
	// open gives the body, at each try anew. Nil means that there is none.
	open func(ctx context.Context) (io.ReadCloser, error)
	size int64
	// scopes are what a token has to allow.
	scopes []string
	lane   lane
	// ok are the statuses that are no errors, and fine, where it is set, tells of
	// further ones.
	ok   []int
	fine func(status int) bool
	// once leaves retries to the caller.
	once bool
	// tries bounds the tries more than the client's options do, if it is not zero.
	tries int
	// optional is for a request that can be done without: that it is refused says
	// nothing about the credentials.
	optional bool
	// stored is for blobs: a redirect out of the API leads to where they are stored, which
	// may be on the same host and takes no credentials of the registry's.
	stored bool
	// landed asks, after a failure that leaves it open, whether the request was carried
	// out all the same.
	landed func(ctx context.Context, failed *Error) bool
}

func (c *call) accepts(status int) bool {
	return slices.Contains(c.ok, status) || c.fine != nil && c.fine(status)
}

// triesAfter is how often the request is made that failed so: a registry that asks for
// patience says nothing about the request.
func (c *call) triesAfter(failed *Error, most int) int {
	if c.tries == 0 || failed != nil && failed.Throttled() {
		return most
	}
	return min(c.tries, most)
}

// errLanded says that a request was carried out, although its answer was lost.
var errLanded = errors.New("it was carried out")

// do makes a request and tries again what failed in passing. The answer's status
// is one of those that are ok; its body is the caller's to close.
func (h *host) do(ctx context.Context, by Caller, c call) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		resp, err := h.try(ctx, by, c)
		if err == nil {
			return resp, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", c.op, context.Cause(ctx))
		}
		failed := asError(err)
		tries := c.triesAfter(failed, h.client.opts.Attempts)
		last := attempt >= tries && (c.landed == nil || !failed.leavesOpen())
		if c.once || failed == nil || !failed.Passing() || last || failed.RetryAfter > h.client.opts.MaxWait {
			return nil, err
		}
		h.client.opts.Logger.Debug().Err(err).Str("registry", h.name.RegistryStr()).Int("attempt", attempt).Msg("registry request is tried again")
		if err := h.pause(ctx, attempt, failed.RetryAfter); err != nil {
			return nil, fmt.Errorf("%s: %w", c.op, err)
		}
		if c.landed != nil && failed.leavesOpen() && c.landed(ctx, failed) {
			return nil, errLanded
		}
		if attempt >= tries {
			return nil, err
		}
	}
}

// pause waits before the next try: as long as the registry asked, or else longer
// each time.
func (h *host) pause(ctx context.Context, attempt int, asked time.Duration) error {
	delay := min(200*time.Millisecond<<min(attempt-1, 6), 5*time.Second)
	delay = delay/2 + rand.N(delay/2)
	return h.client.opts.Wait(ctx, max(delay, asked))
}

// try makes a request, once again if the first answer is a challenge.
func (h *host) try(ctx context.Context, by Caller, c call) (*http.Response, error) {
	if !h.met.Load() {
		ended, err := h.introduce(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.op, err)
		}
		defer ended()
	}
	challenges := 2
	if c.optional {
		challenges = 1
	}
	for challenged, hops := 0, 0; ; {
		// Who has to wait for credentials or a token waits outside, and nobody for him.
		if _, err := h.auth.authorize(ctx, c.scopes); err != nil {
			return nil, err
		}
		release, err := h.enter(ctx, by, c)
		if err != nil {
			return nil, err
		}
		// Again, now: a token that was valid before the wait may not be after it.
		used, err := h.auth.authorize(ctx, c.scopes)
		if err != nil {
			release(0, 0)
			return nil, err
		}
		resp, err := h.send(ctx, by, c, used, release)
		if err != nil {
			return nil, err
		}
		h.met.Store(true)
		h.recognise(resp.Header)
		if resp.StatusCode == http.StatusUnauthorized && challenged < challenges && h.auth.learn(resp.Header, used) {
			drain(resp)
			challenged++
			continue
		}
		if isRedirect(resp.StatusCode) {
			next, err := h.redirect(c, resp, hops)
			if next != "" {
				drain(resp)
				c.url = next
				hops++
				continue
			}
			if _, elsewhere := errors.AsType[*ElsewhereError](err); !elsewhere || !c.accepts(resp.StatusCode) {
				resp.Body.Close()
				return nil, err
			}
		}
		if err := h.strange(c, resp); err != nil {
			resp.Body.Close()
			return nil, err
		}
		if c.accepts(resp.StatusCode) {
			return resp, nil
		}
		return nil, h.answerError(c.op, h.name.RegistryStr(), used, resp)
	}
}

// firstPatience is how long the first request may keep the others waiting: one that
// hangs is not to hold them up.
const firstPatience = 3 * time.Second

// introduce waits its turn to be the first request, or until that takes too long.
func (h *host) introduce(ctx context.Context) (ended func(), err error) {
	timer := time.NewTimer(firstPatience)
	defer timer.Stop()
	select {
	case h.first <- struct{}{}:
		return func() { <-h.first }, nil
	case <-timer.C:
		return func() {}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

var errNoProgress = errors.New("no progress for too long")

// enter waits until a request may go.
func (h *host) enter(ctx context.Context, by Caller, c call) (release func(status int, after time.Duration), err error) {
	release, err = h.pace.acquire(ctx, c.lane, by.Invocation)
	if throttled := asError(err); throttled != nil {
		throttled.Op, throttled.Registry = c.op, h.name.RegistryStr()
		return nil, throttled
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.op, err)
	}
	return release, nil
}

// send makes one request, and then releases its place. It ends when there is no
// progress.
func (h *host) send(ctx context.Context, by Caller, c call, used authorization, release func(int, time.Duration)) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	watch := newWatchdog(h.client.opts.IdleTimeout, h.client.opts.AnswerTimeout, func() { cancel(errNoProgress) })
	finish := func(status int, after time.Duration) {
		watch.stop()
		release(status, after)
	}

	req, err := http.NewRequestWithContext(ctx, c.method, c.url, nil)
	if err != nil {
		finish(0, 0)
		cancel(nil)
		return nil, fmt.Errorf("%s: %w", c.op, err)
	}
	if c.header != nil {
		req.Header = c.header.Clone()
	}
	req.Header.Set("User-Agent", h.client.opts.UserAgent)
	if used.header != "" {
		req.Header.Set("Authorization", used.header)
	}
	body, err := h.openBody(ctx, c, watch)
	if err != nil {
		finish(0, 0)
		cancel(nil)
		return nil, err
	}
	if body != nil {
		req.Body, req.ContentLength = body, c.size
	} else if c.open != nil {
		req.Body = http.NoBody
	}
	if by.Requests != nil {
		by.Requests.Add(1)
	}
	resp, err := h.http.Do(req)
	if body != nil {
		body.Close()
	}
	if err != nil {
		cause := context.Cause(ctx)
		finish(0, 0)
		cancel(nil)
		// An upload whose source fails is the source's failure.
		if body != nil {
			if failed := body.failure(); failed != nil {
				return nil, failed
			}
		}
		if errors.Is(cause, errNoProgress) {
			err = errNoProgress
		}
		return nil, &Error{Op: c.op, Registry: h.name.RegistryStr(), Err: h.unreached(unwrapURL(err)), Credential: used.kind}
	}
	finish(resp.StatusCode, retryAfter(resp, h.client.opts.Now()))
	if resp.StatusCode < http.StatusInternalServerError && resp.StatusCode != http.StatusTooManyRequests {
		h.progress()
	}
	total := h.client.opts.answerTotal()
	if c.lane == large && c.method == http.MethodGet {
		total = 0 // a blob takes what it takes, as long as it moves
	}
	resp.Body = watchAnswer(ctx, cancel, resp.Body, h.client.opts.IdleTimeout, total)
	if e := h.client.opts.Logger.Debug(); e.Enabled() {
		e.Str("registry", h.name.RegistryStr()).Str("method", c.method).Str("path", req.URL.Path).Int("status", resp.StatusCode).Msg(c.op)
	}
	return resp, nil
}

// openBody is the body of a request, or nil for an empty one.
func (h *host) openBody(ctx context.Context, c call, watch *watchdog) (*watchedBody, error) {
	if c.open == nil {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	source, err := c.open(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	body := &watchedBody{watch: watch, progress: h.progress, source: source, cancel: cancel, left: c.size}
	if c.size == 0 {
		return nil, body.Close()
	}
	return body, nil
}
