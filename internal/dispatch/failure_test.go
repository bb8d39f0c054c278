package dispatch_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

func TestFinalFailureIsARowAndSaysWhatToDo(t *testing.T) {
	for _, row := range []struct {
		name          string
		change        func(*world)
		outcome       ledger.Outcome
		class, begins string
	}{
		{
			"an evicted layer",
			func(w *world) {
				w.haulErr = &haul.Error{Class: haul.Evicted, Text: "layer sha256:ab (12 MiB) is no longer in the remote cache; rebuild"}
			},
			ledger.Failed, "evicted",
			"push //app:push to ghcr.io/acme/app: layer sha256:ab (12 MiB) is no longer in the remote cache; rebuild",
		},
		{
			"a registry that refuses",
			func(w *world) { w.haulErr = &haul.Error{Class: haul.Denied, Text: "no"} },
			ledger.Denied, "denied", "push //app:push to ghcr.io/acme/app: no",
		},
		{
			"a policy that does not allow it",
			func(w *world) {
				shut, err := admission.New(admission.Policy{Rules: []admission.Rule{}})
				if err != nil {
					panic(err)
				}
				_, w.denied = shut.Admit(admission.Push{Client: "token:ci"})
			},
			ledger.Denied, "policy", "push //app:push to ghcr.io/acme/app: the daemon's policy does not allow token:ci to push this: the policy has no rules",
		},
		{
			"a spec that is none",
			func(w *world) { w.spec = []byte("{") },
			ledger.Failed, "malformed", "push //app:push: push spec: not valid JSON",
		},
		{
			"a later version",
			func(w *world) { w.spec = []byte(`{"schemaVersion":9,"mediaType":"x","target":"@@//app:push"}`) },
			ledger.Failed, "malformed", "push //app:push: push spec of @@//app:push has schema version 9",
		},
		{
			"a variable that nobody set",
			func(w *world) { w.spec, _ = spec(t, "{VERSION}") },
			ledger.Failed, "stamp", "push //app:push to ghcr.io/acme/app: fill in the destination: stamp tag: \"{VERSION}\" needs VERSION",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, _ := newWorld(t, "latest")
			row.change(w)
			got, err := w.work(t, 1)
			if err != nil {
				t.Fatal(err)
			}
			if got.Outcome != row.outcome || got.ErrorClass != row.class || !strings.HasPrefix(got.Error, row.begins) {
				t.Errorf("entry is %s, %s, %q", got.Outcome, got.ErrorClass, got.Error)
			}
		})
	}
}

func TestSpecOverTheLimitIsNotRead(t *testing.T) {
	w, _ := newWorld(t)
	w.spec, w.specErr = make([]byte, pushspec.MaxSize+1), errors.New("it was read")
	got, err := w.work(t, 1)
	if err != nil || got.ErrorClass != "malformed" || !strings.Contains(got.Error, "over the limit") {
		t.Errorf("entry is %+v, error %v", got, err)
	}
}

func TestPassingTroubleIsTriedAgainUntilTheLastAttempt(t *testing.T) {
	w, _ := newWorld(t, "latest")
	w.haulErr = &haul.Error{Class: haul.Throttled, RetryAfter: time.Minute, Text: "slow down"}
	_, err := w.work(t, 9)
	retry, ok := errors.AsType[*store.RetryError](err)
	if !ok || retry.After != time.Minute || retry.Class != "throttled" {
		t.Errorf("error is %v, want to be tried again after a minute", err)
	}
	if got, err := w.work(t, 10); err != nil || got.Outcome != ledger.Failed || got.Attempts != 10 {
		t.Errorf("entry is %+v, error %v", got, err)
	}
}

func TestMissingSpecIsGivenTimeToArrive(t *testing.T) {
	w, _ := newWorld(t, "latest")
	w.specErr = &cas.NotFoundError{}
	_, err := w.work(t, 1)
	if _, ok := errors.AsType[*store.RetryError](err); !ok {
		t.Errorf("error is %v, want to be tried again", err)
	}
	// What failed for another reason does not count.
	w.failures = []string{"evicted", "unavailable", "evicted", "throttled"}
	if _, err := w.work(t, 5); err == nil {
		t.Error("it is given up after two looks")
	}
	w.failures = append(w.failures, "evicted")
	if got, err := w.work(t, 6); err != nil || got.ErrorClass != "evicted" || !strings.Contains(got.Error, "Build again with ") {
		t.Errorf("entry is %+v, error %v", got, err)
	}
}

func TestATagThatIsTakenIsDenied(t *testing.T) {
	w, _ := newWorld(t, "v1")
	w.haulErr = &haul.Error{Class: haul.Taken, Text: "tag v1 points to another image"}
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.Outcome != ledger.Denied || got.ErrorClass != "taken" {
		t.Errorf("the row is %s, %s", got.Outcome, got.ErrorClass)
	}
}
