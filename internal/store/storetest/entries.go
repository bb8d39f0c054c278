package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

// write has jobs end with the rows, one after another, one a second from 2026 on
// where they have no time.
func write(t *testing.T, s *store.Store, rows ...ledger.Entry) {
	t.Helper()
	list := make([]store.Job, len(rows))
	written := make(map[string]ledger.Entry, len(rows))
	for i, e := range rows {
		if e.Time.IsZero() {
			e.Time = time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC)
		}
		list[i] = store.Job{Invocation: e.InvocationID, Target: e.Target, Spec: store.SpecRef{Function: "sha256", Hash: rand.Text()}}
		written[list[i].Spec.Hash] = e
	}
	Enqueue(t, s, list)
	stop := runWith(t, s, func(_ context.Context, job store.Job, _ store.Attempt) (ledger.Entry, error) {
		return written[job.Spec.Hash], nil
	}, 1)
	defer stop()
	for _, e := range rows {
		Settled(t, s, e.InvocationID, 20*time.Second)
	}
}

func targets(list []ledger.Entry) []string {
	names := []string{}
	for _, e := range list {
		names = append(names, e.Target)
	}
	return names
}

func queries(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	latest := []ledger.Tag{{Name: "latest"}, {Name: "v1"}}
	write(t, s,
		ledger.Entry{Target: "//a", Outcome: ledger.Pushed, Registry: "one.test", Repository: "app", Digest: "sha256:a", InvocationID: "i1", Commit: "c1", Tags: latest},
		ledger.Entry{Target: "//b", Outcome: ledger.Failed, Registry: "one.test", Repository: "lib", InvocationID: "i1", Commit: "c1"},
		ledger.Entry{
			Target: "//c", Outcome: ledger.Pushed, Registry: "two.test", Repository: "app", Digest: "sha256:c", InvocationID: "i2", Commit: "c2", Tags: latest[:1],
			Manifests: []ledger.Manifest{{Digest: "sha256:c"}, {Digest: "sha256:amd64", Platform: "linux/amd64"}},
		},
		ledger.Entry{Target: "//a", Outcome: ledger.Present, Registry: "one.test", Repository: "app", Digest: "sha256:a", InvocationID: "i2", Commit: "c2", Tags: latest},
	)
	at := func(second int) time.Time { return time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC) }
	for name, row := range map[string]struct {
		query ledger.Query
		want  []string
	}{
		"everything":            {ledger.Query{}, []string{"//a", "//c", "//b", "//a"}},
		"digest":                {ledger.Query{Digest: "sha256:a"}, []string{"//a", "//a"}},
		"digest of a platform":  {ledger.Query{Digest: "sha256:amd64"}, []string{"//c"}},
		"registry":              {ledger.Query{Registry: "two.test"}, []string{"//c"}},
		"repository":            {ledger.Query{Repository: "app"}, []string{"//a", "//c", "//a"}},
		"repository in one":     {ledger.Query{Registry: "one.test", Repository: "app"}, []string{"//a", "//a"}},
		"tag anywhere":          {ledger.Query{Tag: "v1"}, []string{"//a", "//a"}},
		"tag history":           {ledger.Query{Registry: "two.test", Repository: "app", Tag: "latest"}, []string{"//c"}},
		"tag and digest":        {ledger.Query{Tag: "latest", Digest: "sha256:c"}, []string{"//c"}},
		"target":                {ledger.Query{Target: "//a"}, []string{"//a", "//a"}},
		"invocation":            {ledger.Query{Invocation: "i1"}, []string{"//b", "//a"}},
		"commit":                {ledger.Query{Commit: "c2"}, []string{"//a", "//c"}},
		"outcome":               {ledger.Query{Outcome: ledger.Failed}, []string{"//b"}},
		"since":                 {ledger.Query{Since: at(2)}, []string{"//a", "//c"}},
		"until":                 {ledger.Query{Until: at(2)}, []string{"//b", "//a"}},
		"digest in a time span": {ledger.Query{Digest: "sha256:a", Since: at(1), Until: at(4)}, []string{"//a"}},
		"nothing":               {ledger.Query{Target: "//none"}, []string{}},
		"limit":                 {ledger.Query{Limit: 1}, []string{"//a"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, targets(Entries(t, s, row.query))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for name, query := range map[string]ledger.Query{
		"outcome": {Outcome: "gone"},
		"limit":   {Limit: 5000},
		"span":    {Since: at(2), Until: at(1)},
	} {
		if _, err := s.Entries(t.Context(), query); err == nil {
			t.Errorf("%s: a query that makes no sense was answered", name)
		}
	}
}

func aBeginningIsEnoughIfItIsOneRows(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	write(t, s,
		ledger.Entry{Target: "//a", Digest: "sha256:abcdef01", Commit: "6a14a96f"},
		ledger.Entry{Target: "//b", Digest: "sha256:abcdef02", Commit: "6a14a96"},
		ledger.Entry{Target: "//c", Digest: "sha256:abcdee03", Commit: "7b14a96f"})
	for name, row := range map[string]struct {
		query ledger.Query
		want  []string
	}{
		"digest": {ledger.Query{Digest: "sha256:abcdee"}, []string{"//c"}},
		"digits": {ledger.Query{Digest: "abcdee"}, []string{"//c"}},
		"commit": {ledger.Query{Commit: "7b14a9"}, []string{"//c"}},
		"exact":  {ledger.Query{Commit: "6a14a96"}, []string{"//b"}},
		"short":  {ledger.Query{Commit: "7b14a"}, []string{}},
		"none":   {ledger.Query{Commit: "7b14a96f0"}, []string{}},
	} {
		if diff := cmp.Diff(row.want, targets(Entries(t, s, row.query))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	_, err := s.Entries(t.Context(), ledger.Query{Digest: "abcdef0"})
	want := &ledger.AmbiguousError{Field: "digest", Given: "sha256:abcdef0", First: "sha256:abcdef01", Last: "sha256:abcdef02"}
	if several, ok := errors.AsType[*ledger.AmbiguousError](err); !ok || *several != *want {
		t.Errorf("a beginning of two digests: %v, want %v", err, want)
	}
	if proofs, err := s.Prove(t.Context(), "abcdee"); err != nil || len(proofs) != 1 {
		t.Errorf("%d proofs of a beginning, error %v", len(proofs), err)
	}
	_, err = s.Prove(t.Context(), "sha256:abcdef0")
	if _, ok := errors.AsType[*ledger.AmbiguousError](err); !ok {
		t.Errorf("a proof of a beginning of two digests: %v", err)
	}
}

func pagesDoNotShiftWhenRowsAreAdded(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	list := make([]ledger.Entry, 25)
	for i := range list {
		list[i] = ledger.Entry{Target: fmt.Sprintf("//t%02d", i), Outcome: ledger.Pushed, Repository: "app", Digest: "sha256:same"}
	}
	write(t, s, list...)
	for name, query := range map[string]ledger.Query{
		"all":        {},
		"repository": {Repository: "app"},
		"digest":     {Digest: "sha256:same"},
	} {
		t.Run(name, func(t *testing.T) {
			query.Limit = 10
			var got []string
			for {
				rows := Entries(t, s, query)
				if len(rows) == 0 {
					break
				}
				got = append(got, targets(rows)...)
				query.Before = rows[len(rows)-1].ID
				write(t, s, ledger.Entry{Time: time.Now(), Target: "//late", Repository: "app", Digest: "sha256:same"})
			}
			var old []string
			for _, target := range got {
				if target != "//late" {
					old = append(old, target)
				}
			}
			var want []string
			for _, e := range slices.Backward(list) {
				want = append(want, e.Target)
			}
			if diff := cmp.Diff(want, old); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func aRowSaysTheExitCodeThatBecameKnownLater(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	write(t, s, ledger.Entry{Target: "//a", Outcome: ledger.Pushed, InvocationID: "inv"})
	if err := s.SaveInvocation(t.Context(), store.Invocation{ID: "inv", ExitCode: "TESTS_FAILED"}); err != nil {
		t.Fatal(err)
	}
	if got := Entries(t, s, ledger.Query{})[0].ExitCode; got != "TESTS_FAILED" {
		t.Errorf("exit code = %q, want TESTS_FAILED", got)
	}
}
