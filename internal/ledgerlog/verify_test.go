package ledgerlog

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
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

func TestMain(m *testing.M) { sqldbtest.Main(m) }

// book is a log on a database of its own.
type book struct {
	*Log
	db sqldb.DB
	// jobs is the number of the last job that has a row.
	jobs int64
}

func open(t *testing.T, driver sqldbtest.Driver, options Options) *book {
	t.Helper()
	db := driver.Open(t, sqldb.Options{})
	log, err := Open(t.Context(), db, options)
	if err != nil {
		t.Fatal(err)
	}
	return &book{Log: log, db: db}
}

// write appends rows, one a second from 2026 on.
func (b *book) write(t *testing.T, rows ...ledger.Entry) []ledger.Entry {
	t.Helper()
	for i := range rows {
		b.jobs++
		rows[i].Job = b.jobs
		rows[i].Time = time.Date(2026, 1, 1, 0, 0, int(b.jobs), 0, time.UTC)
	}
	var written []ledger.Entry
	err := b.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) (err error) {
		written, err = b.Append(ctx, tx, rows)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return written
}

func (b *book) seal(t *testing.T) {
	t.Helper()
	if _, err := b.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (b *book) verify(t *testing.T, options VerifyOptions) Report {
	t.Helper()
	report, err := b.Verify(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// execute runs statements in one transaction.
func (b *book) execute(t *testing.T, statements ...string) error {
	t.Helper()
	return b.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error {
		for _, statement := range statements {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
}

// vandalize does what only somebody with the database's password can do.
func (b *book) vandalize(t *testing.T, driver sqldbtest.Driver, statements ...string) {
	t.Helper()
	if err := b.execute(t, append(driver.Unprotect, statements...)...); err != nil {
		t.Fatal(err)
	}
}

func TestALedgerThatNobodyTouchedVerifies(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		b := open(t, driver, Options{})
		if report := b.verify(t, VerifyOptions{}); len(report.Problems) > 0 {
			t.Errorf("an empty ledger: %v", report.Problems)
		}
		list := someRows(137)
		b.write(t, list[:100]...)
		b.seal(t)
		early, err := b.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b.write(t, list[100:]...)
		if report := b.verify(t, VerifyOptions{}); report.Rows != 100 || report.Waiting != 37 || len(report.Problems) > 0 {
			t.Errorf("before the second seal: %+v, want 100 rows and 37 waiting", report)
		}
		b.seal(t)
		report := b.verify(t, VerifyOptions{Keys: []string{b.Key()}, Checkpoints: [][]byte{early}})
		if report.Rows != 137 || report.Waiting != 0 || report.Checkpoints != 3 || len(report.Problems) > 0 {
			t.Errorf("%+v, want 137 rows, 3 checkpoints and no problem", report)
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
		"moved row":         {`UPDATE ledger_entry SET repository = 'other' WHERE target = '//t4'`, "row %d (number 4 of the log): its repository is app, but a search finds it as other: the search columns were changed"},
		"hidden digest":     {`DELETE FROM ledger_digest WHERE digest = 'sha256:4'`, "row %d (number 4 of the log): some of its digests no longer find it"},
		"hidden tag":        {`DELETE FROM ledger_tag WHERE tag = 'v4'`, "row %d (number 4 of the log): some of its tags no longer find it"},
		"changed hash":      {`UPDATE log_hash SET hash = (SELECT hash FROM log_hash WHERE idx = 0) WHERE idx = 2`, "number 1 of the log: the log's hash over the 2 rows up to here was changed"},
		"forgotten leaf":    {`DELETE FROM log_leaf WHERE idx = 4`, "number 4 of the log: the log no longer says which row it is"},
		"shortened log":     {`UPDATE log_state SET size = 19`, "the log has 19 rows, and no valid checkpoint of that size"},
		"changed signature": {`UPDATE log_checkpoint SET signed = (SELECT body FROM ledger_entry LIMIT 1)`, "the checkpoint at 20 rows: open checkpoint: malformed note"},
	} {
		t.Run(name, func(t *testing.T) {
			sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
				b := open(t, driver, Options{})
				id := b.write(t, someRows(20)...)[4].ID
				b.seal(t)
				b.vandalize(t, driver, row.statement)
				want := row.want
				if strings.Contains(want, "%d") {
					want = fmt.Sprintf(want, id)
				}
				report := b.verify(t, VerifyOptions{})
				if len(report.Problems) == 0 || report.Problems[0].String() != want {
					t.Errorf("problems = %v\nwant %s", report.Problems, want)
				}
			})
		})
	}
}

// largeMetadata is more than a row has in itself.
func largeMetadata() map[string]string {
	return map[string]string{"COMMENT": strings.Repeat("x", 60<<10)}
}

func TestLargeMetadataIsKeptOnceAndSealedWithEachRow(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		b := open(t, driver, Options{})
		rows := someRows(60)
		for i := range rows[:50] {
			rows[i].Metadata = largeMetadata()
		}
		rows[50].Metadata = map[string]string{"TEAM": "payments"}
		b.write(t, rows...)
		b.seal(t)
		if report := b.verify(t, VerifyOptions{}); report.Rows != 60 || len(report.Problems) > 0 {
			t.Errorf("%+v, want 60 rows and no problem", report)
		}
		var bodies, kept, own int64
		for dest, sql := range map[*int64]string{
			&bodies: `SELECT SUM(LENGTH(body)) FROM ledger_entry`, &kept: `SELECT SUM(LENGTH(body)) FROM ledger_metadata`,
			&own: `SELECT COUNT(*) FROM ledger_metadata`,
		} {
			if _, err := sqldb.QueryRow(t.Context(), b.db.Read(), sql, nil, dest); err != nil {
				t.Fatal(err)
			}
		}
		if bodies > 60<<10 || own != 1 || kept > 61<<10 {
			t.Errorf("the rows have %d bytes, and %d metadata beside them %d", bodies, own, kept)
		}
		proofs, err := b.Prove(t.Context(), "sha256:7")
		if err != nil || len(proofs) != 1 {
			t.Fatalf("%d proofs, error %v", len(proofs), err)
		}
		proved, _, err := proofs[0].Verify([]string{b.Key()})
		if err != nil {
			t.Fatal(err)
		}
		if err := AttachMetadata(t.Context(), b.db.Read(), &proved); err != nil || len(proved.Metadata["COMMENT"]) != 60<<10 {
			t.Errorf("the proved row has metadata of %d bytes, error %v", len(proved.Metadata["COMMENT"]), err)
		}
	})
}

func TestMetadataThatWasTouchedIsNamedByItsRows(t *testing.T) {
	for statement, want := range map[string]string{
		`UPDATE ledger_metadata SET body = (SELECT body FROM ledger_entry LIMIT 1)`: "row %d (number 1 of the log): its metadata, %s, was changed after it was written",
		`DELETE FROM ledger_metadata`: "row %d (number 1 of the log): its metadata, %s, was deleted",
	} {
		sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
			b := open(t, driver, Options{})
			rows := someRows(3)
			rows[1].Metadata = largeMetadata()
			id := b.write(t, rows...)[1].ID
			b.seal(t)
			if err := b.execute(t, statement); err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s: %v, want a refusal", statement, err)
			}
			b.vandalize(t, driver, statement)
			row, _, err := rows[1].DetachMetadata()
			if err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf(want, id, row.MetadataDigest)
			if report := b.verify(t, VerifyOptions{}); len(report.Problems) != 1 || report.Problems[0].String() != want {
				t.Errorf("problems = %v, want %s", report.Problems, want)
			}
		})
	}
}

func TestARowThatWasPutInByHandIsNamed(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		b := open(t, driver, Options{})
		id := b.write(t, someRows(3)...)[1].ID
		b.vandalize(t, driver, `DELETE FROM ledger_unsealed WHERE entry_id = (SELECT id FROM ledger_entry WHERE target = '//t1')`)
		b.seal(t)
		want := fmt.Sprintf("row %d: it is not in the log and does not wait to be sealed: somebody inserted it by hand", id)
		if report := b.verify(t, VerifyOptions{}); len(report.Problems) != 1 || report.Problems[0].String() != want {
			t.Errorf("problems = %v, want %s", report.Problems, want)
		}
	})
}

func TestACheckpointKeptElsewhereTellsOfAnotherHistory(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		signer, verifier, err := ledger.NewKey("example.test")
		if err != nil {
			t.Fatal(err)
		}
		history := func(rows []ledger.Entry) *book {
			b := open(t, driver, Options{Key: signer})
			b.write(t, rows...)
			b.seal(t)
			return b
		}
		original := history(someRows(10))
		kept, err := original.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		rewritten := someRows(10)
		rewritten[3].Digest = "sha256:other"
		options := VerifyOptions{Keys: []string{verifier}, Checkpoints: [][]byte{kept}}
		if report := history(rewritten).verify(t, options); len(report.Problems) != 1 ||
			report.Problems[0].String() != "the checkpoint at 10 rows does not match: rows 0 to 9 of the log were changed, and so were the log's hashes of them" {
			t.Errorf("a rewritten ledger: %v", report.Problems)
		}
		if report := history(someRows(9)).verify(t, options); len(report.Problems) != 1 ||
			report.Problems[0].String() != "a checkpoint that was kept elsewhere covers 10 rows, and the log has only 9: rows were removed from its end" {
			t.Errorf("a shortened ledger: %v", report.Problems)
		}
	})
}

func TestAProofVerifiesWithoutTheStore(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		b := open(t, driver, Options{})
		b.write(t, someRows(33)...)
		for i := range 33 {
			proofs, err := b.Prove(t.Context(), fmt.Sprintf("sha256:%d", i))
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
			entry, checkpoint, err := proof.Verify([]string{b.Key()})
			if err != nil || entry.Target != fmt.Sprintf("//t%d", i) || checkpoint.Size != 33 {
				t.Errorf("proved %s in %d rows, error %v", entry.Target, checkpoint.Size, err)
			}
			proof.Row = strings.Replace(proof.Row, "app", "apq", 1)
			if _, _, err := proof.Verify([]string{b.Key()}); err == nil {
				t.Error("a changed row was proved")
			}
		}
		if proofs, err := b.Prove(t.Context(), "sha256:none"); err != nil || len(proofs) != 0 {
			t.Errorf("an unknown digest: %d proofs, error %v", len(proofs), err)
		}
	})
}

func TestTheLedgerCannotBeChangedByMistake(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		b := open(t, driver, Options{})
		b.write(t, someRows(1)...)
		for _, statement := range []string{`UPDATE ledger_entry SET outcome = 'failed'`, `DELETE FROM ledger_entry`} {
			if err := b.execute(t, statement); err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s: %v, want a refusal", statement, err)
			}
		}
	})
}

func TestAJobHasOneRow(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		b := open(t, driver, Options{})
		b.write(t, someRows(2)...)
		b.jobs--
		if written := b.write(t, someRows(2)...); len(written) != 1 || written[0].Job != 3 {
			t.Errorf("written again: %+v, want the row of job 3 alone", written)
		}
	})
}

func TestOldCheckpointsAreThinnedToOneADay(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
		b := open(t, driver, Options{Clock: func() time.Time { return now }})
		for i := range 6 { // two days, three checkpoints each
			b.write(t, ledger.Entry{Target: "//t", Outcome: ledger.Pushed})
			b.seal(t)
			now = now.Add(time.Hour)
			if i == 2 {
				now = now.Add(21 * time.Hour)
			}
		}
		if err := b.Thin(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		if report := b.verify(t, VerifyOptions{}); report.Checkpoints != 2 || len(report.Problems) > 0 {
			t.Errorf("%+v, want two checkpoints and no problem", report)
		}
	})
}
