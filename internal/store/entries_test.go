package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

// written puts rows into the ledger, one a second from 2026 on.
func written(t *testing.T, s *Store, list ...ledger.Entry) {
	t.Helper()
	for i := range list {
		list[i].Job = int64(i + 1)
		list[i].Time = time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC)
	}
	if err := s.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error { return s.record(ctx, tx, list) }); err != nil {
		t.Fatal(err)
	}
}

func targets(list []ledger.Entry) []string {
	names := []string{}
	for _, e := range list {
		names = append(names, e.Target)
	}
	return names
}

func TestQueries(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		latest := []ledger.Tag{{Name: "latest"}, {Name: "v1"}}
		written(t, s,
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
				if diff := cmp.Diff(row.want, targets(entries(t, s, row.query))); diff != "" {
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
	})
}

func TestABeginningIsEnoughIfItIsOneRows(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		written(t, s,
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
			if diff := cmp.Diff(row.want, targets(entries(t, s, row.query))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		_, err := s.Entries(t.Context(), ledger.Query{Digest: "abcdef0"})
		want := &ledger.AmbiguousError{Field: "digest", Given: "sha256:abcdef0", First: "sha256:abcdef01", Last: "sha256:abcdef02"}
		var several *ledger.AmbiguousError
		if !errors.As(err, &several) || *several != *want {
			t.Errorf("a beginning of two digests: %v, want %v", err, want)
		}
		if proofs, err := s.Prove(t.Context(), "abcdee"); err != nil || len(proofs) != 1 {
			t.Errorf("%d proofs of a beginning, error %v", len(proofs), err)
		}
		if _, err := s.Prove(t.Context(), "sha256:abcdef0"); !errors.As(err, &several) {
			t.Errorf("a proof of a beginning of two digests: %v", err)
		}
	})
}

func TestPagesDoNotShiftWhenRowsAreAdded(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		list := make([]ledger.Entry, 25)
		for i := range list {
			list[i] = ledger.Entry{Target: fmt.Sprintf("//t%02d", i), Outcome: ledger.Pushed, Repository: "app", Digest: "sha256:same"}
		}
		written(t, s, list...)
		for name, query := range map[string]ledger.Query{
			"all":        {},
			"repository": {Repository: "app"},
			"digest":     {Digest: "sha256:same"},
		} {
			t.Run(name, func(t *testing.T) {
				query.Limit = 10
				var got []string
				for page := 0; ; page++ {
					rows := entries(t, s, query)
					if len(rows) == 0 {
						break
					}
					got = append(got, targets(rows)...)
					query.Before = rows[len(rows)-1].ID
					late := ledger.Entry{Job: int64(1000*len(name) + page), Time: time.Now(), Target: "//late", Repository: "app", Digest: "sha256:same"}
					if err := s.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error {
						return s.record(ctx, tx, []ledger.Entry{late})
					}); err != nil {
						t.Fatal(err)
					}
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
	})
}

func TestARowSaysTheExitCodeThatBecameKnownLater(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		written(t, s, ledger.Entry{Target: "//a", Outcome: ledger.Pushed, InvocationID: "inv"})
		if err := s.SaveInvocation(t.Context(), Invocation{ID: "inv", ExitCode: "TESTS_FAILED"}); err != nil {
			t.Fatal(err)
		}
		if got := entries(t, s, ledger.Query{})[0].ExitCode; got != "TESTS_FAILED" {
			t.Errorf("exit code = %q, want TESTS_FAILED", got)
		}
	})
}
