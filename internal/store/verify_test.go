package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
)

// someRows are n rows that differ.
func someRows(n int) []ledger.Entry {
	list := make([]ledger.Entry, n)
	for i := range list {
		list[i] = ledger.Entry{
			Target: fmt.Sprintf("//t%d", i), Outcome: ledger.Pushed, Registry: "r.test", Repository: "app", InvocationID: "inv",
			Digest: fmt.Sprintf("sha256:%d", i), Tags: []ledger.Tag{{Name: fmt.Sprintf("v%d", i)}},
		}
	}
	return list
}

func seal(t *testing.T, s *Store) {
	t.Helper()
	if _, err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func verify(t *testing.T, s *Store, options VerifyOptions) Report {
	t.Helper()
	report, err := s.Verify(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// vandalize does what only somebody with the database's password can do.
func vandalize(t *testing.T, s *Store, statements ...string) {
	t.Helper()
	err := s.db.write(t.Context(), func(ctx context.Context, tx conn) error {
		off := []string{`DROP TRIGGER ledger_entry_keep`, `DROP TRIGGER ledger_entry_stay`}
		if s.db.dialect().name == "postgres" {
			off = []string{`DROP TRIGGER ledger_entry_keep ON ledger_entry`}
		}
		for _, statement := range append(off, statements...) {
			if _, err := tx.exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestALedgerThatNobodyTouchedVerifies(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := db.open(t, Options{})
		if report := verify(t, s, VerifyOptions{}); len(report.Problems) > 0 {
			t.Errorf("an empty ledger: %v", report.Problems)
		}
		list := someRows(137)
		written(t, s, list[:100]...)
		seal(t, s)
		early, err := s.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		err = s.db.write(t.Context(), func(ctx context.Context, tx conn) error {
			for i := range list[100:] {
				list[100+i].Job = int64(1000 + i)
			}
			return s.record(ctx, tx, list[100:])
		})
		if err != nil {
			t.Fatal(err)
		}
		if report := verify(t, s, VerifyOptions{}); report.Rows != 100 || report.Waiting != 37 || len(report.Problems) > 0 {
			t.Errorf("before the second seal: %+v, want 100 rows and 37 waiting", report)
		}
		seal(t, s)
		report := verify(t, s, VerifyOptions{Keys: []string{s.LogKey()}, Checkpoints: [][]byte{early}})
		if report.Rows != 137 || report.Waiting != 0 || report.Checkpoints != 3 || len(report.Problems) > 0 {
			t.Errorf("%+v, want 137 rows, 3 checkpoints and no problem", report)
		}
	})
}

func TestTheRunSealsWhatItDoes(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := db.open(t, Options{})
		enqueue(t, s, jobs("inv", 20))
		stop := run(t, s, pushed)
		settledWithin(t, s, "inv", 10*time.Second)
		proofs, err := s.Prove(t.Context(), "sha256://app:push7")
		if err != nil || len(proofs) != 1 {
			t.Fatalf("%d proofs, error %v", len(proofs), err)
		}
		stop()
		if report := verify(t, s, VerifyOptions{}); report.Rows != 20 || len(report.Problems) > 0 {
			t.Errorf("%+v, want 20 rows and no problem", report)
		}
	})
}

func TestVerifyNamesWhatWasTouched(t *testing.T) {
	for name, row := range map[string]struct {
		statement string
		// want is what the one problem says: %d is the ID of the fifth row.
		want string
	}{
		"edited row":        {`UPDATE ledger_entry SET body = (SELECT body FROM ledger_entry WHERE target = '//t9') WHERE target = '//t4'`, "row %d (number 4 of the log): it was changed after it was sealed"},
		"deleted row":       {`DELETE FROM ledger_entry WHERE target = '//t4'`, "row %d (number 4 of the log): it was deleted"},
		"moved row":         {`UPDATE ledger_entry SET repository = 'other' WHERE target = '//t4'`, "row %d (number 4 of the log): its repository is app, and it is searched for as other: the search columns were changed"},
		"hidden digest":     {`DELETE FROM ledger_digest WHERE digest = 'sha256:4'`, "row %d (number 4 of the log): it is not found by all its digests any more"},
		"hidden tag":        {`DELETE FROM ledger_tag WHERE tag = 'v4'`, "row %d (number 4 of the log): it is not found by all its tags any more"},
		"changed hash":      {`UPDATE log_hash SET hash = (SELECT hash FROM log_hash WHERE idx = 0) WHERE idx = 2`, "number 1 of the log: the log's hash over the 2 rows up to here was changed"},
		"forgotten leaf":    {`DELETE FROM log_leaf WHERE idx = 4`, "number 4 of the log: the log does not say any more which row it is"},
		"shortened log":     {`UPDATE log_state SET size = 19`, "the log has 19 rows and no good checkpoint of that size"},
		"changed signature": {`UPDATE log_checkpoint SET signed = (SELECT body FROM ledger_entry LIMIT 1)`, "the checkpoint at 20 rows: open checkpoint: malformed note"},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, db place) {
				s := db.open(t, Options{})
				list := someRows(20)
				written(t, s, list...)
				seal(t, s)
				id := entries(t, s, ledger.Query{Target: "//t4"})[0].ID
				vandalize(t, s, row.statement)
				want := row.want
				if strings.Contains(want, "%d") {
					want = fmt.Sprintf(want, id)
				}
				report := verify(t, s, VerifyOptions{})
				if len(report.Problems) == 0 || report.Problems[0].String() != want {
					t.Errorf("problems = %v\nwant %s", report.Problems, want)
				}
			})
		})
	}
}

func TestARowThatWasPutInByHandIsNamed(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := db.open(t, Options{})
		written(t, s, someRows(3)...)
		vandalize(t, s, `DELETE FROM ledger_unsealed WHERE entry_id = (SELECT id FROM ledger_entry WHERE target = '//t1')`)
		seal(t, s)
		id := entries(t, s, ledger.Query{Target: "//t1"})[0].ID
		want := fmt.Sprintf("row %d: it is not in the log, and does not wait to be: it was put there by hand", id)
		if report := verify(t, s, VerifyOptions{}); len(report.Problems) != 1 || report.Problems[0].String() != want {
			t.Errorf("problems = %v, want %s", report.Problems, want)
		}
	})
}

func TestACheckpointKeptElsewhereTellsOfAnotherHistory(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		signer, verifier, err := ledger.NewKey("example.test")
		if err != nil {
			t.Fatal(err)
		}
		history := func(rows []ledger.Entry) *Store {
			s := db.open(t, Options{LogKey: signer})
			written(t, s, rows...)
			seal(t, s)
			return s
		}
		original := history(someRows(10))
		kept, err := original.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		rewritten := someRows(10)
		rewritten[3].Digest = "sha256:other"
		options := VerifyOptions{Keys: []string{verifier}, Checkpoints: [][]byte{kept}}
		if report := verify(t, history(rewritten), options); len(report.Problems) != 1 ||
			report.Problems[0].String() != "the checkpoint at 10 rows does not fit: rows 0 to 9 of the log were changed together with the log's hashes of them" {
			t.Errorf("a rewritten ledger: %v", report.Problems)
		}
		if report := verify(t, history(someRows(9)), options); len(report.Problems) != 1 ||
			report.Problems[0].String() != "a checkpoint that was kept elsewhere has 10 rows, and the log has 9: rows are gone from its end" {
			t.Errorf("a shortened ledger: %v", report.Problems)
		}
	})
}

func TestAProofVerifiesWithoutTheStore(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := db.open(t, Options{})
		written(t, s, someRows(33)...)
		for i := range 33 {
			proofs, err := s.Prove(t.Context(), fmt.Sprintf("sha256:%d", i))
			if err != nil || len(proofs) != 1 {
				t.Fatalf("%d proofs, error %v", len(proofs), err)
			}
			data, err := proofs[0].Encode()
			if err != nil {
				t.Fatal(err)
			}
			proof, err := ledger.DecodeProof(data)
			if err != nil {
				t.Fatal(err)
			}
			entry, checkpoint, err := proof.Verify([]string{s.LogKey()})
			if err != nil || entry.Target != fmt.Sprintf("//t%d", i) || checkpoint.Size != 33 {
				t.Errorf("proved %s in %d rows, error %v", entry.Target, checkpoint.Size, err)
			}
			proof.Row = strings.Replace(proof.Row, "app", "apq", 1)
			if _, _, err := proof.Verify([]string{s.LogKey()}); err == nil {
				t.Error("a changed row was proved")
			}
		}
		if proofs, err := s.Prove(t.Context(), "sha256:none"); err != nil || len(proofs) != 0 {
			t.Errorf("an unknown digest: %d proofs, error %v", len(proofs), err)
		}
	})
}

func TestTheLedgerCannotBeChangedByMistake(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := db.open(t, Options{})
		written(t, s, someRows(1)...)
		for _, statement := range []string{`UPDATE ledger_entry SET outcome = 'failed'`, `DELETE FROM ledger_entry`} {
			err := s.db.write(t.Context(), func(ctx context.Context, tx conn) error {
				_, err := tx.exec(ctx, statement)
				return err
			})
			if err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s: %v, want a refusal", statement, err)
			}
		}
	})
}
