package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// DeadLetter is an event that could not be delivered.
type DeadLetter struct {
	// ID is the event's number; the receiver sees it at the end of the event's.
	ID       int64     `json:"id"`
	Sink     string    `json:"sink"`
	Entry    int64     `json:"entry"`
	Attempts int       `json:"attempts"`
	Error    string    `json:"error"`
	Last     time.Time `json:"last"`
}

// maxLetters bounds a page of [Store.DeadLetters], and a [LetterSelection].
const maxLetters = 1000

// DeadLetters are the events that are not delivered any more, the oldest first:
// those of one sink, or, with an empty one, all. The next page is that after the
// last one's ID.
func (s *Store) DeadLetters(ctx context.Context, sink string, after int64, limit int) ([]DeadLetter, error) {
	where, args := `state = 'dead' AND id > ?`, []any{after}
	if sink != "" {
		where += ` AND sink = ?`
		args = append(args, cleanText(sink))
	}
	list := []DeadLetter{}
	err := s.db.read().query(ctx, `SELECT id, sink, entry_id, attempts, error, due FROM outbox WHERE `+where+
		fmt.Sprintf(` ORDER BY id LIMIT %d`, min(max(limit, 1), maxLetters)), args,
		func(scan func(...any) error) error {
			var l DeadLetter
			var due int64
			if err := scan(&l.ID, &l.Sink, &l.Entry, &l.Attempts, &l.Error, &due); err != nil {
				return err
			}
			l.Last = fromMicros(due).Add(-outboxBackoff(l.Attempts))
			list = append(list, l)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return list, nil
}

// LetterSelection says which dead letters are meant. All fields that are set have
// to hold, and one has to be set.
type LetterSelection struct {
	IDs  []int64
	Sink string
	// All means every one; it cannot be meant by leaving the others empty.
	All bool
}

// Redeliver has dead letters delivered again, from the first attempt on, and
// returns how many there were.
func (s *Store) Redeliver(ctx context.Context, selection LetterSelection) (int, error) {
	if len(selection.IDs) == 0 && selection.Sink == "" && !selection.All {
		return 0, errors.New("redeliver events: none is selected: name events or a webhook, or say all")
	}
	if len(selection.IDs) > maxLetters {
		return 0, fmt.Errorf("redeliver events: %d are over the limit of %d", len(selection.IDs), maxLetters)
	}
	where, args := `state = 'dead'`, []any{micros(s.now())}
	if len(selection.IDs) > 0 {
		where += ` AND id IN (` + values(len(selection.IDs), "?") + `)`
		for _, id := range selection.IDs {
			args = append(args, id)
		}
	}
	if selection.Sink != "" {
		where += ` AND sink = ?`
		args = append(args, cleanText(selection.Sink))
	}
	var n int64
	err := s.db.write(ctx, func(ctx context.Context, tx conn) (err error) {
		n, err = tx.exec(ctx, `UPDATE outbox SET state = 'waiting', attempts = 0, due = ? WHERE `+where, args...)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("redeliver events: %w", advise(err))
	}
	if n > 0 {
		s.wakeDelivery()
	}
	return int(n), nil
}
