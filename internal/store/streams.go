package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/drayage/drayage/internal/sqldb"
)

// DefaultStreamLimit is how long a stream that no daemon has may take to come back.
const DefaultStreamLimit = 30 * time.Second

// streamBeats is how often within the limit a daemon says which streams it has.
const streamBeats = 3

// streams are the invocations whose streams this daemon has: open, or kept for a client
// that may come back.
type streams struct {
	mu   sync.Mutex
	here map[string]int
	told time.Time
}

// Streaming notes that this daemon has an invocation's stream, until ended is called. An
// invocation whose stream no daemon has is broken off after [Options.StreamLimit], unless
// it is finished. It goes on when its stream does.
func (s *Store) Streaming(invocation string) (ended func()) {
	id := sqldb.CleanText(invocation)
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	if s.streams.here == nil {
		s.streams.here = map[string]int{}
	}
	s.streams.here[id]++
	return sync.OnceFunc(func() {
		s.streams.mu.Lock()
		defer s.streams.mu.Unlock()
		if s.streams.here[id]--; s.streams.here[id] == 0 {
			delete(s.streams.here, id)
		}
	})
}

// due are the streams to tell of, if it is time.
func (s *streams) due(now time.Time, interval time.Duration) []any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.told) < interval {
		return nil
	}
	s.told = now
	ids := make([]string, 0, len(s.here))
	for id := range s.here {
		ids = append(ids, id)
	}
	slices.Sort(ids) // one order everywhere, so that two daemons do not wait for one another
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	return args
}

// maxStreamsTold bounds the streams that one statement tells of.
const maxStreamsTold = 500

// tellStreams says which streams this daemon has.
func (s *Store) tellStreams(ctx context.Context) error {
	for ids := range slices.Chunk(s.streams.due(s.now(), s.options.StreamLimit/streamBeats), maxStreamsTold) {
		err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
			_, err := tx.Exec(ctx, `UPDATE invocation SET streamed = ?, broken_off = 0
				WHERE finished = 0 AND id IN (`+sqldb.Values(len(ids), "?")+`)`, append([]any{sqldb.Micros(s.now())}, ids...)...)
			return err
		})
		if err != nil {
			return fmt.Errorf("say which streams are here: %w", err)
		}
	}
	return nil
}

// breakOff gives up the streams that no daemon has. The keeper does it.
func (s *Store) breakOff(ctx context.Context) error {
	before := sqldb.Micros(s.now().Add(-s.options.StreamLimit))
	var gone []string
	find := func(ctx context.Context, c sqldb.Conn, sql string, args ...any) error {
		gone = gone[:0]
		return c.Query(ctx, sql, args, func(scan sqldb.Scan) error {
			var id string
			err := scan(&id)
			gone = append(gone, id)
			return err
		})
	}
	const open = `finished = 0 AND broken_off = 0 AND streamed < ?`
	// Nearly always there is none, and a transaction costs more than a look.
	err := find(ctx, s.db.Read(), `SELECT id FROM invocation WHERE `+open+` LIMIT 1`, before)
	if err == nil && len(gone) > 0 {
		err = s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
			if err := find(ctx, tx, `UPDATE invocation SET broken_off = ? WHERE `+open+` RETURNING id`, sqldb.Micros(s.now()), before); err != nil {
				return err
			}
			return s.decideAll(ctx, tx, gone, nil)
		})
	}
	if err != nil {
		return fmt.Errorf("look for streams that broke off: %w", err)
	}
	for _, id := range gone {
		s.logger.Warn().Str("invocation", id).Msg("the stream broke off, and its client has not come back: what it did not tell of is not pushed")
		s.changes.tell(id)
	}
	return nil
}
