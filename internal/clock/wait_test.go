package clock

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestWaitEndsWithTheContext(t *testing.T) {
	if err := Wait(t.Context(), time.Microsecond); err != nil {
		t.Errorf("a wait to its end is %v", err)
	}
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if err := Wait(ctx, time.Hour); !errors.Is(err, cause) {
		t.Errorf("a wait that was called off is %v", err)
	}
}
