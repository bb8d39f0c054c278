package registry

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// pausing is a body that gives a byte after each pause, and ends with its request.
type pausing struct {
	ctx    context.Context //nolint:containedctx // that of the request
	pauses []time.Duration
}

func (p *pausing) Read(b []byte) (int, error) {
	pause := p.pauses[0]
	p.pauses = p.pauses[1:]
	select {
	case <-p.ctx.Done():
		return 0, p.ctx.Err()
	case <-time.After(pause):
		return copy(b, "x"), nil
	}
}

func (p *pausing) Close() error { return nil }

func TestABodyMayTakeItsTimeAsLongAsItMoves(t *testing.T) {
	for name, row := range map[string]struct {
		total time.Duration
		reads []time.Duration
		// ended is after how long it is given up.
		ended time.Duration
	}{
		"it stands still":           {0, []time.Duration{50 * time.Second, 50 * time.Second, time.Hour}, 160 * time.Second},
		"it moves, and has a bound": {2 * time.Minute, []time.Duration{50 * time.Second, 50 * time.Second, 50 * time.Second}, 2 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			body := watchAnswer(ctx, cancel, &pausing{ctx: ctx, pauses: row.reads}, time.Minute, row.total)
			defer body.Close()
			began := time.Now()
			var err error
			for err == nil {
				_, err = body.Read(make([]byte, 1))
			}
			if took := time.Since(began); took != row.ended || !errors.Is(err, errNoProgress) {
				t.Errorf("%s: got error %v after %s", name, err, took)
			}
		})
	}
}

func TestABodyThatIsNotReadDoesNotStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		body := watchAnswer(ctx, cancel, &pausing{ctx: ctx, pauses: []time.Duration{0, 0}}, time.Minute, 0)
		defer body.Close()
		for range 2 {
			if _, err := body.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Hour) // whoever reads writes to something slow
		}
	})
}
