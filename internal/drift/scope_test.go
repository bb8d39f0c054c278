package drift_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/drift"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

// tagged is a registry to which five images were pushed, each under a tag of its own and
// the latest, and lost all but their digests.
func tagged(t *testing.T) *fixture {
	t.Helper()
	f := start(t, registrytest.Rules{})
	for i := range 5 {
		f.record(ledger.Pushed, f.write("there", fmt.Sprintf("[%d]", i)), fmt.Sprintf("v%d", i), "latest")
	}
	return f
}

// look checks a part, and says of what rows something is missing.
func (f *fixture) look(scope drift.Scope) (report drift.Report, rows []int64, err error) {
	f.t.Helper()
	client := registry.New(registry.Options{})
	defer client.Close()
	report, err = drift.Check(f.t.Context(), client, f.newestFirst(), scope)
	for _, d := range report.Differences {
		if d.Kind != drift.Missing {
			f.t.Errorf("%s is %s", d, d.Kind)
		}
		rows = append(rows, d.Row)
	}
	return report, rows, err
}

func TestPartsMakeUpTheWhole(t *testing.T) {
	f := tagged(t)
	var checked []int
	var rows [][]int64
	for before := int64(0); ; {
		report, missing, err := f.look(drift.Scope{Before: before, Most: 4})
		if err != nil {
			t.Fatal(err)
		}
		checked, rows = append(checked, report.Checked), append(rows, missing)
		if before = report.Next; before == 0 {
			break
		}
	}
	// The newest row holds the latest tag, so that it says three things and the others two.
	if diff := cmp.Diff([]int{5, 4, 2}, checked); diff != "" {
		t.Errorf("checked (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]int64{{4, 5, 5}, {2, 3}, {1}}, rows); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}

func TestWhatWasFoundBeforeAnEndIsReported(t *testing.T) {
	f := tagged(t)
	looked := 0
	var found drift.Report
	_, _, err := f.look(drift.Scope{
		Wait: func(context.Context) error {
			if looked++; looked > 11 {
				t.Error("something was looked up twice")
			}
			return nil
		},
		Progress: func(r drift.Report) error {
			found = r
			return errors.New("the disk is full")
		},
	})
	if err == nil || looked != 11 || found.Checked != 11 || found.Next != 0 {
		t.Errorf("%d lookups, %+v, error %v", looked, found, err)
	}
}

func TestALookThatIsCalledOffIsNoDifference(t *testing.T) {
	f := tagged(t)
	stop := errors.New("the daemon stops")
	report, _, err := f.look(drift.Scope{Wait: func(context.Context) error { return stop }})
	if !errors.Is(err, stop) || report.Checked != 0 || len(report.Differences) != 0 {
		t.Errorf("got %+v, %v", report, err)
	}
}
