package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/clock/clocktest"
	"github.com/drayage/drayage/internal/drift"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

// shelf is a ledger, and what is kept of comparisons with registries.
type shelf struct {
	keeping bool
	rows    []ledger.Entry // the newest first
	body    jsontext.Value
	saves   int
	events  int
	// fail is the error of the save with that number, counted from 1.
	fail map[int]error
}

func (s *shelf) Keeping() bool { return s.keeping }

func (s *shelf) Entries(_ context.Context, query ledger.Query) ([]ledger.Entry, error) {
	return slices.DeleteFunc(slices.Clone(s.rows), func(e ledger.Entry) bool {
		return e.Time.Before(query.Since) || query.Before > 0 && e.ID >= query.Before
	}), nil
}

func (s *shelf) Verification(context.Context) (jsontext.Value, error) { return s.body, nil }

func (s *shelf) SaveVerification(_ context.Context, body, drift jsontext.Value) error {
	s.saves++
	if err := s.fail[s.saves]; err != nil {
		return err
	}
	s.body = slices.Clone(body)
	if drift != nil {
		s.events++
	}
	return nil
}

// inspection is a verifier of a ledger with rows of which the registry has lost one.
type inspection struct {
	*verifier
	shelf    *shelf
	clock    *clocktest.Clock
	registry *registrytest.Registry
	lookups  map[string]int
}

func newInspection(t *testing.T, config Verify, rows int) *inspection {
	t.Helper()
	i := &inspection{shelf: &shelf{keeping: true}, clock: clocktest.New(), lookups: map[string]int{}}
	i.registry = registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if _, reference, found := strings.Cut(r.URL.Path, "/manifests/"); found {
			i.lookups[reference]++ // one at a time
		}
		return nil
	}})
	client := registry.New(registry.Options{})
	t.Cleanup(client.Close)
	config.Rate, config.Timeout = 5, time.Hour
	i.verifier = newVerifier(config, i.shelf, client, zerolog.Nop())
	i.now, i.wait = i.clock.Now, i.clock.Wait
	for n := range rows {
		digest := i.registry.PutManifest("acme/app", "v", "application/vnd.oci.image.index.v1+json", fmt.Appendf(nil, "[%d]", n))
		if n == 0 {
			i.registry.Forget("acme/app", digest)
		}
		i.shelf.rows = slices.Insert(i.shelf.rows, 0, ledger.Entry{
			ID: int64(n + 1), Time: i.clock.Now(), Outcome: ledger.Pushed, Registry: i.registry.Host, Repository: "acme/app", Digest: digest,
		})
	}
	return i
}

// stepped is how the comparison stands after a step.
func (i *inspection) stepped(t *testing.T) operator.Verification {
	t.Helper()
	if err := i.step(t.Context()); err != nil {
		t.Fatal(err)
	}
	return i.last(t)
}

func (i *inspection) last(t *testing.T) operator.Verification {
	t.Helper()
	last, err := lastVerification(t.Context(), i.shelf)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

func TestTheLedgerIsComparedWhenThatIsDue(t *testing.T) {
	i := newInspection(t, Verify{Every: 24 * time.Hour, Limit: 100}, 3)
	first := i.stepped(t)
	if first.Checked != 3 || first.Missing != 1 || first.Ended.Sub(first.Began) < 600*time.Millisecond || first.Next != 0 || i.shelf.events != 1 {
		t.Errorf("the first comparison is %+v, with %d events", first, i.shelf.events)
	}
	if d := first.Differences[0]; d.Row != 1 || d.Kind != drift.Missing || !strings.HasPrefix(d.Reference, i.registry.Host+"/acme/app@") {
		t.Errorf("the difference is %+v", d)
	}
	if again := i.stepped(t); !cmp.Equal(first, again) {
		t.Errorf("another comparison, of which none was due: %+v", again)
	}
	i.clock.Pass(24 * time.Hour)
	i.shelf.rows = i.shelf.rows[:2]
	if second := i.stepped(t); second.Checked != 2 || second.Drifted() != 0 || !second.Began.After(first.Began) || i.shelf.events != 1 {
		t.Errorf("the second comparison is %+v, with %d events", second, i.shelf.events)
	}
}

func TestAComparisonIsBoundedAndTheNextGoesOn(t *testing.T) {
	i := newInspection(t, Verify{Every: time.Hour, Limit: 3}, 7)
	var checked []int
	for range 4 {
		v := i.stepped(t)
		checked = append(checked, v.Checked)
		i.clock.Pass(time.Hour)
	}
	if diff := cmp.Diff([]int{3, 3, 1, 3}, checked); diff != "" {
		t.Errorf("checked (-want +got):\n%s", diff)
	}
	once, twice := 0, 0
	for _, n := range i.lookups {
		switch n {
		case 1:
			once++
		case 2:
			twice++
		}
	}
	if once != 4 || twice != 3 {
		t.Errorf("%d were looked up once and %d twice, want 4 and 3", once, twice)
	}
}

func TestAComparisonThatWasInterruptedGoesOn(t *testing.T) {
	i := newInspection(t, Verify{Every: time.Hour, Limit: 1000}, 250)
	i.shelf.fail = map[int]error{3: errors.New("the daemon was killed")} // after the beginning and a first piece
	if err := i.step(t.Context()); err == nil {
		t.Fatal("nothing was interrupted")
	}
	interrupted := i.last(t)
	if interrupted.Checked != 100 || !interrupted.Ended.IsZero() {
		t.Fatalf("after the interruption it is %+v, want 100 looked up", interrupted)
	}
	clear(i.lookups)
	if v := i.stepped(t); v.Checked != 250 || v.Missing != 1 || !v.Began.Equal(interrupted.Began) {
		t.Errorf("the whole comparison is %+v", v)
	}
	if len(i.lookups) != 150 {
		t.Errorf("%d were looked up after the interruption, want the 150 that were left", len(i.lookups))
	}
}

func TestAComparisonEndsWithItsTime(t *testing.T) {
	i := newInspection(t, Verify{Every: time.Hour, Limit: 1000}, 250)
	waits := 0
	i.wait = func(ctx context.Context, _ time.Duration) error {
		if waits++; waits < 150 {
			return nil
		}
		<-ctx.Done()
		return context.Cause(ctx)
	}
	i.config.Timeout = time.Second
	v := i.stepped(t)
	if v.Checked != 100 || v.Ended.IsZero() || !strings.HasPrefix(v.Error, "it took longer than 1s") || v.Next == 0 {
		t.Errorf("the comparison is %+v", v)
	}
}

func TestOldPushesAreLeftOut(t *testing.T) {
	i := newInspection(t, Verify{Every: time.Hour, Limit: 1000, Age: time.Minute}, 3)
	i.shelf.rows[2].Time = i.clock.Now().Add(-time.Hour)
	if v := i.stepped(t); v.Checked != 2 || v.Missing != 0 {
		t.Errorf("the comparison is %+v", v)
	}
}

func TestARegistryThatCannotBeAskedIsNoDrift(t *testing.T) {
	i := newInspection(t, Verify{Every: time.Hour, Limit: 1000}, 2)
	i.shelf.rows[0].Registry, i.shelf.rows[1].Registry = "not a host", "not a host"
	if v := i.stepped(t); v.Unknown != 2 || v.Drifted() != 0 || i.shelf.events != 0 {
		t.Errorf("the comparison is %+v, with %d events", v, i.shelf.events)
	}
}

func TestOnlyTheKeeperCompares(t *testing.T) {
	i := newInspection(t, Verify{Every: time.Hour, Limit: 1000}, 2)
	i.shelf.keeping = false
	ctx, cancel := context.WithCancel(t.Context())
	i.wait = func(context.Context, time.Duration) error {
		cancel()
		return context.Canceled
	}
	i.run(ctx)
	if i.shelf.saves > 0 {
		t.Error("a daemon that is not the keeper compares")
	}
}
