package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

// streamWrites are all that a stream writes, in a client's name.
func streamWrites(ctx context.Context, s *store.Store, invocation, owner string) map[string]error {
	job := Jobs(invocation, 1)[0]
	job.Owner, job.Target = owner, "//of:"+strings.ReplaceAll(owner, ":", "_")
	return map[string]error{
		"claim":         s.Claim(ctx, invocation, owner, owner),
		"job":           s.Enqueue(ctx, []store.Job{job}),
		"record":        s.Remember(ctx, invocation, owner, [][]byte{[]byte(owner)}),
		"metadata":      s.SaveInvocation(ctx, store.Invocation{ID: invocation, Owner: owner, Metadata: map[string]string{"VERSION": "of " + owner}}),
		"finish":        s.SaveInvocation(ctx, store.Invocation{ID: invocation, Owner: owner, Finished: true}),
		"claimed again": s.Claim(ctx, invocation, owner, owner),
	}
}

func theFirstThatClaimsAnInvocationHasIt(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	const token, other, nobody = "token:ci", "token:other", ""
	for i, row := range []struct{ first, second string }{
		{token, other}, {token, nobody}, {nobody, token}, {other, token},
	} {
		id := fmt.Sprint("inv", i)
		if err := s.Claim(t.Context(), id, row.first, row.first); err != nil {
			t.Fatal(err)
		}
		for what, err := range streamWrites(t.Context(), s, id, row.second) {
			owned, is := errors.AsType[*store.OwnerError](err)
			if !is || owned.Owner != row.first || owned.Invocation != id {
				t.Errorf("%q has the invocation; a %s of %q ends with %v", row.first, what, row.second, err)
			}
		}
		if i, _, err := s.Invocation(t.Context(), id); err != nil || i.Owner != row.first || i.Metadata != nil || i.Finished {
			t.Errorf("the invocation is %+v, error %v", i, err)
		}
		for what, err := range streamWrites(t.Context(), s, id, row.first) {
			if err != nil {
				t.Errorf("a %s of its owner %q: %v", what, row.first, err)
			}
		}
		expected, err := s.Expected(t.Context(), id)
		if err != nil || len(expected) != 1 || !strings.HasSuffix(expected[0].Target, strings.ReplaceAll(row.first, ":", "_")) {
			t.Errorf("expected are %+v, error %v; want the owner's job alone", expected, err)
		}
		if i, _, err := s.Invocation(t.Context(), id); err != nil || i.Metadata["VERSION"] != "of "+row.first || !i.Finished {
			t.Errorf("the invocation is %+v, error %v", i, err)
		}
	}
}

func ofStreamsThatBeginAtTheSameMomentOneHasTheInvocation(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	for round := range 20 {
		id := fmt.Sprint("inv", round)
		clients := []string{"token:a", "token:b", ""}
		errs := make([]error, len(clients))
		begin := make(chan struct{})
		var streams sync.WaitGroup
		for i, client := range clients {
			streams.Go(func() {
				<-begin
				// A daemon that shares the database may save without having looked.
				if errs[i] = s.Claim(t.Context(), id, client, client); errs[i] == nil {
					errs[i] = s.SaveInvocation(t.Context(), store.Invocation{ID: id, Owner: client, Metadata: map[string]string{"VERSION": client}})
				}
			})
		}
		close(begin)
		streams.Wait()
		won := []string{}
		for i, err := range errs {
			if err == nil {
				won = append(won, clients[i])
			} else if _, is := errors.AsType[*store.OwnerError](err); !is {
				t.Fatal(err)
			}
		}
		known, _, err := s.Invocation(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if len(won) != 1 || known.Owner != won[0] || known.Metadata["VERSION"] != won[0] {
			t.Errorf("%q were let in, and the invocation is %+v", won, known)
		}
	}
}

func anInvocationOfAnEarlierReleaseKeepsItsOwner(t *testing.T, driver sqldbtest.Driver) {
	url := driver.Migrated(t)
	s := OpenAt(t, url, store.Options{})
	for id, owner := range map[string]string{"proved": "token:ci", "not proved": ""} {
		if err := s.Claim(t.Context(), id, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), url, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error {
		_, err := tx.Exec(ctx, `UPDATE invocation SET owner = NULL`)
		return err
	})
	db.Close()
	if err != nil {
		t.Fatal(err)
	}
	s = OpenAt(t, url, store.Options{})
	for _, row := range []struct {
		id, owner string
		refused   bool
	}{
		{"proved", "token:ci", false}, {"proved", "", true}, {"proved", "token:other", true}, {"not proved", "", false}, {"not proved", "token:ci", true},
	} {
		_, refused := errors.AsType[*store.OwnerError](s.Claim(t.Context(), row.id, row.owner, row.owner))
		if refused != row.refused {
			t.Errorf("%q claims the invocation that was %s: refused %t, want %t", row.owner, row.id, refused, row.refused)
		}
	}
}

func largeMetadataComesWithEveryRow(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	metadata := map[string]string{"COMMENT": strings.Repeat("x", 60<<10)}
	Enqueue(t, s, Jobs("inv", 50))
	Run(t, s, func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		entry, err := Pushed(ctx, job, attempt)
		entry.Metadata = metadata
		return entry, err
	})
	Settled(t, s, "inv", 30*time.Second)
	rows := Entries(t, s, ledger.Query{Invocation: "inv"})
	for _, row := range rows {
		one, _, err := s.Entry(t.Context(), row.ID)
		if err != nil {
			t.Fatal(err)
		}
		if row.Metadata["COMMENT"] != metadata["COMMENT"] || one.Metadata["COMMENT"] != metadata["COMMENT"] || row.MetadataDigest == "" {
			t.Errorf("row %d has metadata of %d bytes, and of %d by its number", row.ID, len(row.Metadata["COMMENT"]), len(one.Metadata["COMMENT"]))
		}
	}
	if report := Verify(t, s); len(rows) != 50 || len(report.Problems) > 0 {
		t.Errorf("%d rows, and the problems %v", len(rows), report.Problems)
	}
}
