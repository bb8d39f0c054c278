package sqldb_test

import (
	"context"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"

	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

type idle struct{}

func (idle) Kind() string { return "idle" }

// Of running jobs, some end well, one fails, and one is left alone, as is one that no
// longer runs.
func TestJobsEndAsTheyAreToldTo(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		db := driver.Open(t, sqldb.Options{})
		now := time.Now().UTC().Truncate(time.Millisecond)
		var ids []int64
		err := db.Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) (err error) {
			if ids, err = db.InsertJobs(ctx, tx, []river.InsertManyParams{{Args: idle{}}, {Args: idle{}}, {Args: idle{}}, {Args: idle{}}, {Args: idle{}}}); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `UPDATE river_job SET state = 'running' WHERE id <> ?`, ids[4]); err != nil {
				return err
			}
			return db.SetJobStates(ctx, tx, []*riverdriver.JobSetStateIfRunningParams{
				riverdriver.JobSetStateCompleted(ids[0], now, nil),
				riverdriver.JobSetStateErrorRetryable(ids[1], now.Add(time.Hour), []byte(`{"attempt":1,"error":"no"}`), nil),
				riverdriver.JobSetStateCompleted(ids[2], now, nil),
				riverdriver.JobSetStateCompleted(ids[4], now, nil),
			}, now)
		})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := db.Jobs(t.Context(), nil, ids)
		if err != nil || len(rows) != 5 {
			t.Fatalf("%d jobs, error %v", len(rows), err)
		}
		want := []rivertype.JobState{
			rivertype.JobStateCompleted, rivertype.JobStateRetryable, rivertype.JobStateCompleted, rivertype.JobStateRunning, rivertype.JobStateAvailable,
		}
		for i, row := range rows {
			if row.State != want[i] {
				t.Errorf("job %d is %s, want %s", i, row.State, want[i])
			}
			if ended := row.FinalizedAt != nil; ended != (want[i] == rivertype.JobStateCompleted) || ended && !row.FinalizedAt.Equal(now) {
				t.Errorf("job %d ended at %v, want %v", i, row.FinalizedAt, now)
			}
		}
		if len(rows[1].Errors) != 1 {
			t.Errorf("the failed attempt has %d errors", len(rows[1].Errors))
		}
	})
}
