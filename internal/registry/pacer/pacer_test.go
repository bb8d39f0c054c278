package pacer

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/clock/clocktest"
)

func testPacer(c *clocktest.Clock, smallMost int) *Pacer {
	return New(Options{Now: c.Now, Wait: c.Wait, MaxWait: 20 * time.Second, Small: smallMost, Large: 1})
}

func mustAcquire(t *testing.T, p *Pacer, size RequestSize, invocation string) (release func(status int, after time.Duration)) {
	t.Helper()
	slot, err := p.Acquire(t.Context(), size, invocation)
	if err != nil {
		t.Fatal(err)
	}
	return func(status int, after time.Duration) { slot.Release(Answer{Status: status, After: after}) }
}

func TestSmallRequestsDoNotWaitForUploads(t *testing.T) {
	p := testPacer(clocktest.New(), 1)
	upload := mustAcquire(t, p, Large, "a")
	mustAcquire(t, p, Small, "a")(200, 0)
	upload(201, 0)
}

func TestInvocationsTakeTurns(t *testing.T) {
	p := testPacer(clocktest.New(), 1)
	first := mustAcquire(t, p, Small, "many")
	p.mu.Lock()
	q := &p.sizes[Small].queue
	var turns []chan struct{}
	for _, invocation := range []string{"many", "many", "many", "one"} {
		turns = append(turns, q.push(invocation))
	}
	p.mu.Unlock()
	first(200, 0)
	for i, want := range []int{0, 3, 1, 2} {
		select {
		case <-turns[want]:
		default:
			t.Fatalf("turn %d is not that of waiter %d", i, want)
		}
		p.leave(Small)
	}
}

func TestWhoLeavesTheQueueBlocksNobody(t *testing.T) {
	p := testPacer(clocktest.New(), 1)
	first := mustAcquire(t, p, Small, "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Acquire(ctx, Small, "b"); err == nil {
		t.Fatal("a slot was given that there is not")
	}
	first(200, 0)
	mustAcquire(t, p, Small, "c")(200, 0)
}

func TestRetryAfterPausesTheRegistry(t *testing.T) {
	c := clocktest.New()
	p := testPacer(c, 4)
	mustAcquire(t, p, Small, "a")(http.StatusTooManyRequests, 7*time.Second)
	before := c.Now()
	mustAcquire(t, p, Small, "b")(200, 0)
	if waited := c.Now().Sub(before); waited < 7*time.Second {
		t.Errorf("the next request went after %s, want 7s", waited)
	}
}

func TestALongRetryAfterIsHandedBack(t *testing.T) {
	p := testPacer(clocktest.New(), 4)
	mustAcquire(t, p, Small, "a")(http.StatusTooManyRequests, 5*time.Minute)
	_, err := p.Acquire(t.Context(), Small, "b")
	if long, ok := errors.AsType[*TooLongError](err); !ok || long.Wait < 4*time.Minute {
		t.Errorf("got error %v, want one that says to come back in five minutes", err)
	}
	if p.sizes[Small].active != 0 {
		t.Errorf("%d slots are still taken", p.sizes[Small].active)
	}
}

func TestConcurrencyAndRateShrinkAndGrow(t *testing.T) {
	c := clocktest.New()
	p := testPacer(c, 16)
	for range 100 {
		mustAcquire(t, p, Small, "a")(200, 0)
	}
	mustAcquire(t, p, Small, "a")(http.StatusTooManyRequests, 0)
	if limit := p.sizes[Small].limit; limit > 12 {
		t.Errorf("after a 429 there are still %.0f requests at once", limit)
	}
	slow := p.rate
	if slow <= 0 || slow > 80 {
		t.Errorf("after a 429 the rate is %.1f a second, want less than the 100 before", slow)
	}
	for range 2000 {
		mustAcquire(t, p, Small, "a")(200, 0)
	}
	if p.sizes[Small].limit != 16 || p.rate <= slow {
		t.Errorf("after many good answers there are %.1f at once and %.1f a second, want 16 and more than %.1f", p.sizes[Small].limit, p.rate, slow)
	}
}
