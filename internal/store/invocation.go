package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/drayage/drayage/internal/sqldb"
)

// Invocation is what is known of one Bazel invocation.
type Invocation struct {
	ID           string `json:"id"`
	Build        string `json:"build,omitzero"`
	Command      string `json:"command,omitzero"`
	BazelVersion string `json:"bazelVersion,omitzero"`
	// Owner is the client that the stream comes from, if it has proved who it is.
	Owner   string    `json:"owner,omitzero"`
	Started time.Time `json:"started,omitzero"`
	// Status is the workspace status, Metadata what came as --build_metadata.
	Status   map[string]string `json:"status,omitzero"`
	Metadata map[string]string `json:"metadata,omitzero"`
	// Flags say which caches the build used, by the names of Bazel's flags.
	Flags map[string]string `json:"flags,omitzero"`
	// Unsent tells of files that Bazel could not upload to the remote cache.
	Unsent Unsent `json:"unsent,omitzero"`
	// ExitCode is Bazel's name of the build's exit code: "SUCCESS".
	ExitCode string `json:"exitCode,omitzero"`
	// Finished says that the whole stream has arrived.
	Finished bool `json:"finished,omitzero"`

	// Unconfigured counts the targets and patterns of which Bazel never said what they
	// are, so that nobody knows whether they push anything.
	Unconfigured int `json:"unconfigured,omitzero"`
	// BrokenOff is when the stream was given up, since it ended early and nobody came back
	// with the rest. Zero for all others. It is the store's to say.
	BrokenOff time.Time `json:"-"`

	// Absent are targets of which no push spec came. Those that are saved add to
	// those that were; [Store.Expected] reads them.
	Absent []Absent `json:"-"`
}

// Over says that nothing more of the build is to come.
func (i Invocation) Over() bool { return i.Finished || !i.BrokenOff.IsZero() }

// Unsent tells of files that Bazel could not upload to the remote cache.
type Unsent struct {
	// Digests are hexadecimal, up to maxUnsent of them.
	Digests []string `json:"digests,omitzero"`
	// More says that there were more than are kept.
	More bool `json:"more,omitzero"`
	// Code is the name of the gRPC status that was the reason, or "".
	Code string `json:"code,omitzero"`
}

// maxUnsent bounds the digests that are kept of an invocation.
const maxUnsent = 256

// merge adds what news says to what was known.
func (u Unsent) merge(news Unsent) Unsent {
	for _, digest := range news.Digests {
		switch {
		case slices.Contains(u.Digests, digest):
		case len(u.Digests) >= maxUnsent:
			u.More = true
		default:
			u.Digests = append(slices.Clip(u.Digests), sqldb.CleanText(digest))
		}
	}
	u.More = u.More || news.More
	if news.Code != "" {
		u.Code = sqldb.CleanText(news.Code)
	}
	return u
}

// merge adds what news says to what was known. What news leaves empty stays as
// it was; a finished invocation stays finished.
func (i Invocation) merge(news Invocation) Invocation {
	for _, field := range []struct{ old, news *string }{
		{&i.ID, &news.ID},
		{&i.Build, &news.Build},
		{&i.Command, &news.Command},
		{&i.BazelVersion, &news.BazelVersion},
		{&i.Owner, &news.Owner},
		{&i.ExitCode, &news.ExitCode},
	} {
		if *field.news != "" {
			*field.old = sqldb.CleanText(*field.news)
		}
	}
	if !news.Started.IsZero() {
		i.Started = news.Started.UTC()
	}
	i.Status = mergeMaps(i.Status, news.Status)
	i.Metadata = mergeMaps(i.Metadata, news.Metadata)
	i.Flags = mergeMaps(i.Flags, news.Flags)
	i.Unsent = i.Unsent.merge(news.Unsent)
	i.Unconfigured = max(i.Unconfigured, news.Unconfigured)
	i.Finished = i.Finished || news.Finished
	return i
}

func mergeMaps(old, news map[string]string) map[string]string {
	if len(news) == 0 {
		return old
	}
	merged := make(map[string]string, len(old)+len(news))
	maps.Copy(merged, old)
	for key, value := range news {
		merged[sqldb.CleanText(key)] = sqldb.CleanText(value)
	}
	return merged
}

// SaveInvocation adds to what is known of an invocation: fields that are empty
// leave what was known as it was, and maps are merged key by key. It is durable
// on return.
func (s *Store) SaveInvocation(ctx context.Context, invocation Invocation) error {
	if err := s.intakes.do(ctx, invocation.ID, 1, intake{invocation: &invocation}); err != nil {
		return fmt.Errorf("save invocation %s: %w", invocation.ID, err)
	}
	return nil
}

// Invocation is what is known of an invocation; false where nothing is.
func (s *Store) Invocation(ctx context.Context, id string) (Invocation, bool, error) {
	i, found, err := readInvocation(ctx, s.db.Read(), id, "")
	if err != nil {
		return Invocation{}, false, fmt.Errorf("read invocation %s: %w", id, err)
	}
	return i, found, nil
}

func readInvocation(ctx context.Context, c sqldb.Conn, id, suffix string) (Invocation, bool, error) {
	var i Invocation
	found := false
	err := c.Query(ctx, `SELECT body, broken_off FROM invocation WHERE id = ?`+suffix, []any{id}, func(scan sqldb.Scan) (err error) {
		found = true
		i, err = scanInvocation(scan)
		return err
	})
	return i, found && err == nil, err
}

func scanInvocation(scan sqldb.Scan) (Invocation, error) {
	var body []byte
	var brokenOff int64
	if err := scan(&body, &brokenOff); err != nil {
		return Invocation{}, err
	}
	var i Invocation
	if err := json.Unmarshal(body, &i); err != nil {
		return Invocation{}, fmt.Errorf("decode: %w", err)
	}
	if brokenOff != 0 {
		i.BrokenOff = sqldb.FromMicros(brokenOff)
	}
	return i, nil
}

// saveInvocation merges news into the row, which the transaction holds from its
// first statement on.
func (s *Store) saveInvocation(ctx context.Context, tx sqldb.Conn, news Invocation) error {
	id := sqldb.CleanText(news.ID)
	if _, err := tx.Exec(ctx, `INSERT INTO invocation (id, build_id, started, updated, finished, exit_code, streamed, body)
		VALUES (?, '', 0, 0, 0, '', 0, ?) ON CONFLICT (id) DO NOTHING`, id, []byte("{}")); err != nil {
		return err
	}
	old, _, err := readInvocation(ctx, tx, id, s.db.Dialect().ForUpdate)
	if err != nil {
		return err
	}
	if err := saveAbsent(ctx, tx, id, news.Absent); err != nil {
		return err
	}
	merged := old.merge(news)
	body, err := json.Marshal(merged, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	finished := 0
	if merged.Finished {
		finished = 1
		if _, err := tx.Exec(ctx, `DELETE FROM stream_record WHERE invocation_id = ?`, id); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `UPDATE invocation SET build_id = ?, started = ?, updated = ?, finished = ?, exit_code = ?, streamed = ?, broken_off = 0, body = ? WHERE id = ?`,
		merged.Build, sqldb.Micros(merged.Started), sqldb.Micros(s.now()), finished, merged.ExitCode, sqldb.Micros(s.now()), body, id)
	return err
}

// Remember keeps records of an invocation's stream until the invocation is
// saved as finished. It is durable on return.
func (s *Store) Remember(ctx context.Context, invocation string, records [][]byte) error {
	if len(records) == 0 {
		return nil
	}
	if err := s.intakes.do(ctx, invocation, len(records), intake{invocationID: invocation, records: records}); err != nil {
		return fmt.Errorf("remember stream of invocation %s: %w", invocation, err)
	}
	return nil
}

// Remembered are the records that Remember kept, in order.
func (s *Store) Remembered(ctx context.Context, invocation string) ([][]byte, error) {
	var records [][]byte
	err := s.db.Read().Query(ctx, `SELECT data FROM stream_record WHERE invocation_id = ? ORDER BY id`, []any{sqldb.CleanText(invocation)},
		func(scan sqldb.Scan) error {
			var data []byte
			if err := scan(&data); err != nil {
				return err
			}
			records = append(records, data)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("read what is remembered of invocation %s: %w", invocation, err)
	}
	return records, nil
}
