package pacer

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/clock/clocktest"
)

const asked = 1000 * time.Hour

// paused is a pacer that was told to wait for half an hour.
func paused(t *testing.T) (*clocktest.Clock, *Pacer) {
	t.Helper()
	c := clocktest.New()
	p := testPacer(c, 4)
	slot, err := p.Acquire(t.Context(), Small, "a")
	if err != nil {
		t.Fatal(err)
	}
	slot.Release(Answer{Status: http.StatusServiceUnavailable, After: 30 * time.Minute, Asked: asked, Op: "write tag", Repository: "acme/app"})
	return c, p
}

func mustBePaused(t *testing.T, p *Pacer, size RequestSize) Pause {
	t.Helper()
	_, err := p.Acquire(t.Context(), size, "b")
	long, ok := errors.AsType[*TooLongError](err)
	if !ok {
		t.Fatalf("a request during a pause: %v, want one that has to wait", err)
	}
	return long.Pause
}

func TestALongPauseSaysWhoAskedForItAndWhenTheNextTryIs(t *testing.T) {
	c, p := paused(t)
	pause := mustBePaused(t, p, Small)
	if pause.Answer.Repository != "acme/app" || pause.Answer.Asked != asked || pause.Next.Sub(c.Now()) != time.Minute {
		t.Errorf("the pause is %+v", pause)
	}
	if status := p.Status(); status.Pause != pause || status.TrialDue {
		t.Errorf("its status is %+v", status)
	}
}

func TestOneSmallRequestThatGoesWellEndsAPause(t *testing.T) {
	c, p := paused(t)
	c.Pass(time.Minute)
	if !p.Status().TrialDue {
		t.Error("no trial is due after a minute")
	}
	mustBePaused(t, p, Large)
	trial := mustAcquire(t, p, Small, "a")
	mustBePaused(t, p, Small) // one at a time
	trial(http.StatusOK, 0)
	mustAcquire(t, p, Large, "b")(http.StatusOK, 0)
	if pause := p.Status().Pause; pause != (Pause{}) {
		t.Errorf("the pause goes on: %+v", pause)
	}
}

func TestATrialThatFailsDoublesTheTimeToTheNext(t *testing.T) {
	for name, status := range map[string]int{"no answer": 0, "a server error": 502, "distress": http.StatusTooManyRequests} {
		c, p := paused(t)
		c.Pass(time.Minute)
		mustAcquire(t, p, Small, "a")(status, 0)
		c.Pass(time.Minute)
		if pause := mustBePaused(t, p, Small); pause.Next.Sub(c.Now()) != time.Minute {
			t.Errorf("after %s the next trial is in %s, want two minutes after the first", name, pause.Next.Sub(c.Now()))
		}
		c.Pass(time.Minute)
		mustAcquire(t, p, Small, "a")(http.StatusOK, 0)
		mustAcquire(t, p, Small, "a")(http.StatusOK, 0)
	}
}

func TestAPauseSoonAfterATrialThatWentWellIsTriedLater(t *testing.T) {
	c, p := paused(t)
	c.Pass(time.Minute)
	mustAcquire(t, p, Small, "a")(http.StatusNotFound, 0)
	mustAcquire(t, p, Large, "a")(http.StatusServiceUnavailable, time.Hour)
	if next := p.Status().Pause.Next.Sub(c.Now()); next != 2*time.Minute {
		t.Errorf("the next trial is in %s, want 2m", next)
	}
}

func TestAnAnswerToARequestFromBeforeThePauseDoesNotEndIt(t *testing.T) {
	p := testPacer(clocktest.New(), 4)
	early := mustAcquire(t, p, Small, "a")
	mustAcquire(t, p, Small, "a")(http.StatusServiceUnavailable, time.Hour)
	early(http.StatusOK, 0)
	mustBePaused(t, p, Small)
}

func TestAPauseCanBeLifted(t *testing.T) {
	c, p := paused(t)
	if !p.Lift() {
		t.Error("there was no pause to lift")
	}
	mustAcquire(t, p, Large, "a")(http.StatusServiceUnavailable, time.Hour)
	if next := p.Status().Pause.Next.Sub(c.Now()); next != time.Minute {
		t.Errorf("after a lift the next trial is in %s, want a minute", next)
	}
	p.Lift()
	if p.Lift() {
		t.Error("there still was a pause")
	}
}

func TestNoRequestGoesToWhatIsBlocked(t *testing.T) {
	p := testPacer(clocktest.New(), 4)
	p.Block(true)
	if _, err := p.Acquire(t.Context(), Small, "a"); !errors.Is(err, ErrBlocked) {
		t.Errorf("a request: %v", err)
	}
	p.Block(false)
	mustAcquire(t, p, Small, "a")(http.StatusOK, 0)
	if status := p.Status(); status.UnderWay != 0 || status.Waiting != 0 || status.AtOnce != [2]int{4, 1} {
		t.Errorf("its status is %+v", status)
	}
}
