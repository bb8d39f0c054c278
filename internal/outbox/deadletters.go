package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drayage/drayage/internal/sqldb"
)

// DeadLetter is an event that could not be delivered.
type DeadLetter struct {
	// ID is the event's number; the receiver sees it at the end of the event's.
	ID   int64  `json:"id"`
	Sink string `json:"sink"`
	Kind Kind   `json:"kind"`
	// Entry is the row of a push, or 0; Subject is what all other events are about.
	Entry    int64     `json:"entry"`
	Subject  string    `json:"subject,omitzero"`
	Attempts int       `json:"attempts"`
	Error    string    `json:"error"`
	Last     time.Time `json:"last"`
}

// maxLetters bounds a page of [Outbox.DeadLetters], and a [Selection].
const maxLetters = 1000

// DeadLetters are the events that are no longer delivered, the oldest first:
// those of one sink, or, with an empty one, all. The next page is that after the
// last one's ID.
func (o *Outbox) DeadLetters(ctx context.Context, sink string, after int64, limit int) ([]DeadLetter, error) {
	where, args := `state = 'dead' AND id > ?`, []any{after}
	if sink != "" {
		where += ` AND sink = ?`
		args = append(args, sqldb.CleanText(sink))
	}
	list := []DeadLetter{}
	err := o.db.Read().Query(ctx, `SELECT id, sink, kind, entry_id, subject, attempts, error, due FROM outbox WHERE `+where+
		fmt.Sprintf(` ORDER BY id LIMIT %d`, min(max(limit, 1), maxLetters)), args,
		func(scan sqldb.Scan) error {
			var l DeadLetter
			var due int64
			if err := scan(&l.ID, &l.Sink, &l.Kind, &l.Entry, &l.Subject, &l.Attempts, &l.Error, &due); err != nil {
				return err
			}
			l.Last = sqldb.FromMicros(due).Add(-backoff(l.Attempts))
			list = append(list, l)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return list, nil
}

// Selection says which dead letters are meant. All fields that are set must hold,
// and one must be set.
type Selection struct {
	IDs  []int64
	Sink string
	// All means every one; it cannot be meant by leaving the others empty.
	All bool
}

// Redeliver has dead letters delivered again, from the first attempt on, and
// returns how many there were.
func (o *Outbox) Redeliver(ctx context.Context, selection Selection) (int, error) {
	if len(selection.IDs) == 0 && selection.Sink == "" && !selection.All {
		return 0, errors.New("redeliver events: nothing is selected: name events or a webhook, or say all")
	}
	if len(selection.IDs) > maxLetters {
		return 0, fmt.Errorf("redeliver events: %d events were named, and the limit is %d", len(selection.IDs), maxLetters)
	}
	where, args := `state = 'dead'`, []any{sqldb.Micros(o.now())}
	if len(selection.IDs) > 0 {
		where += ` AND id IN (` + sqldb.Values(len(selection.IDs), "?") + `)`
		for _, id := range selection.IDs {
			args = append(args, id)
		}
	}
	if selection.Sink != "" {
		where += ` AND sink = ?`
		args = append(args, sqldb.CleanText(selection.Sink))
	}
	var n int64
	err := o.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) (err error) {
		n, err = tx.Exec(ctx, `UPDATE outbox SET state = 'waiting', attempts = 0, due = ? WHERE `+where, args...)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("redeliver events: %w", err)
	}
	if n > 0 {
		o.Wake()
	}
	return int(n), nil
}

// PruneDead removes the dead letters that were due before a time.
func (o *Outbox) PruneDead(ctx context.Context, before time.Time) error {
	return sqldb.DeleteMany(ctx, o.db, "outbox", "id", `SELECT id FROM outbox WHERE state = 'dead' AND due < ?`, sqldb.Micros(before))
}
