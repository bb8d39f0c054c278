package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

func aClientThatHasHadItsShareGetsNoMore(t *testing.T, driver sqldbtest.Driver) {
	// It is noon, whenever the test runs: no day ends in it by itself.
	began := time.Now()
	shift := began.Truncate(24 * time.Hour).Add(12 * time.Hour).Sub(began)
	var days atomic.Int64
	now := func() time.Time { return time.Now().Add(shift).AddDate(0, 0, int(days.Load())) }
	s := Open(t, driver, store.Options{Clock: now, Limits: store.Limits{Rows: 40, Pending: 20, SpecBytes: 1000}})
	jobs := func(client, invocation string, n, inline int) []store.Job {
		list := Jobs(invocation, n)
		for i := range list {
			list[i].Client = client
			if inline > 0 {
				list[i].Spec = store.SpecRef{Inline: []byte(strings.Repeat("x", inline))}
			}
		}
		return list
	}
	want := func(what string, err error, limit string) {
		t.Helper()
		quota, is := errors.AsType[*store.QuotaError](err)
		if is != (limit != "") || is && (quota.Limit != limit || quota.Client != "token:greedy" || !strings.Contains(err.Error(), "limits."+limit)) {
			t.Errorf("%s ends with %v, want %q", what, err, limit)
		}
	}
	enqueue := func(client, invocation string, n, inline int) error {
		return s.Enqueue(t.Context(), jobs(client, invocation, n, inline))
	}
	want("15 pushes", enqueue("token:greedy", "first", 15, 0), "")
	want("the same again", enqueue("token:greedy", "first", 15, 0), "")
	want("6 more", enqueue("token:greedy", "second", 6, 0), "client_pending")
	want("another client's", enqueue("token:modest", "third", 15, 0), "")
	want("what has no client", enqueue("", "fourth", 30, 0), "")
	want("5 more", enqueue("token:greedy", "second", 5, 0), "")
	if n, err := s.Pending(t.Context(), "second"); err != nil || n != 5 {
		t.Errorf("%d pushes were kept of the invocation, error %v; want those of the last try alone", n, err)
	}

	stop := Run(t, s, Pushed)
	for _, id := range []string{"first", "second", "third", "fourth"} {
		Settled(t, s, id, 20*time.Second)
	}
	stop()
	want("5 more once these have ended", enqueue("token:greedy", "fifth", 5, 0), "")
	want("much in the events", enqueue("token:greedy", "sixth", 1, 1001), "client_spec_bytes")
	want("a little in the events", enqueue("token:greedy", "sixth", 1, 900), "")
	for i := range 14 {
		want("an invocation", s.Claim(t.Context(), fmt.Sprint("claim", i), "", "token:greedy"), "")
	}
	want("the 41st row", s.Claim(t.Context(), "claim", "", "token:greedy"), "client_rows")
	want("the 41st row", enqueue("token:greedy", "seventh", 1, 0), "client_rows")
	want("an invocation that is there", s.Claim(t.Context(), "claim1", "", "token:greedy"), "")
	if _, found, err := s.Invocation(t.Context(), "claim"); found || err != nil {
		t.Errorf("an invocation that was refused is kept: %t, error %v", found, err)
	}
	days.Add(1)
	want("a new day", s.Claim(t.Context(), "claim", "", "token:greedy"), "")
	if rows := Entries(t, s, ledger.Query{Limit: 1000}); len(rows) != 65 {
		t.Errorf("%d rows, want those of the 65 pushes that were done", len(rows))
	}
}
