package store

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// Invocation is what is known of one Bazel invocation.
type Invocation struct {
	ID           string `json:"id"`
	Build        string `json:"build,omitzero"`
	Command      string `json:"command,omitzero"`
	BazelVersion string `json:"bazelVersion,omitzero"`
	// Owner is the client that the stream comes from, if it has proved who it is: see
	// [Store.Claim].
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

	// Seen is when the daemon first heard of the invocation, by the database's clock, and
	// Number what builds are compared by where [Options.OrderBy] names a key and the build
	// has it; else 0. They are the store's to say.
	Seen   time.Time `json:"-"`
	Number int64     `json:"-"`

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

// SaveInvocation adds to what is known of an invocation: fields that are empty
// leave what was known as it was, and maps are merged key by key. It is durable
// on return. The error is an [*OwnerError] if the invocation has another owner.
func (s *Store) SaveInvocation(ctx context.Context, invocation Invocation) error {
	if err := s.intakes.do(ctx, invocation.ID, 1, intake{invocationID: invocation.ID, owner: invocation.Owner, invocation: &invocation}); err != nil {
		return fmt.Errorf("save invocation %s: %w", invocation.ID, err)
	}
	return nil
}

// Invocation is what is known of an invocation; false where nothing is.
func (s *Store) Invocation(ctx context.Context, id string) (Invocation, bool, error) {
	i, found, err := s.readInvocation(ctx, s.db.Read(), id, "")
	if err != nil {
		return Invocation{}, false, fmt.Errorf("read invocation %s: %w", id, err)
	}
	return i, found, nil
}

func (s *Store) readInvocation(ctx context.Context, c sqldb.Conn, id, suffix string) (Invocation, bool, error) {
	var i Invocation
	found := false
	err := c.Query(ctx, `SELECT body, broken_off, seen FROM invocation WHERE id = ?`+suffix, []any{id}, func(scan sqldb.Scan) (err error) {
		found = true
		i, err = s.scanInvocation(scan)
		return err
	})
	return i, found && err == nil, err
}

func (s *Store) scanInvocation(scan sqldb.Scan) (Invocation, error) {
	var body []byte
	var brokenOff, seen int64
	if err := scan(&body, &brokenOff, &seen); err != nil {
		return Invocation{}, err
	}
	var i Invocation
	if err := json.Unmarshal(body, &i); err != nil {
		return Invocation{}, fmt.Errorf("decode: %w", err)
	}
	i.BrokenOff, i.Seen = sqldb.FromMicros(brokenOff), sqldb.FromMicros(seen)
	i.Number = i.numberOf(s.options.OrderBy)
	return i, nil
}

// saveInvocation merges news into the row, which [Store.admit] has made, and which the
// transaction holds from its first statement on. It says whether the invocation is finished.
func (s *Store) saveInvocation(ctx context.Context, tx sqldb.Conn, news Invocation) (bool, error) {
	id := sqldb.CleanText(news.ID)
	old, _, err := s.readInvocation(ctx, tx, id, s.db.Dialect().ForUpdate)
	if err != nil {
		return false, err
	}
	if err := saveAbsent(ctx, tx, id, news.Absent); err != nil {
		return false, err
	}
	merged := old.merge(news)
	body, err := json.Marshal(merged, json.Deterministic(true))
	if err != nil {
		return false, fmt.Errorf("encode: %w", err)
	}
	finished := 0
	if merged.Finished {
		finished = 1
		if _, err := tx.Exec(ctx, `DELETE FROM stream_record WHERE invocation_id = ?`, id); err != nil {
			return false, err
		}
	}
	_, err = tx.Exec(ctx, `UPDATE invocation SET build_id = ?, started = ?, updated = ?, finished = ?, exit_code = ?, streamed = ?, broken_off = 0, body = ? WHERE id = ?`,
		merged.Build, sqldb.Micros(merged.Started), sqldb.Micros(s.now()), finished, merged.ExitCode, sqldb.Micros(s.now()), body, id)
	return merged.Finished, err
}

// Invocations lists what is known of invocations, the latest begun first. The
// next page is that before the last one.
func (s *Store) Invocations(ctx context.Context, before *Invocation, limit int) ([]Invocation, error) {
	where, args := "", []any{}
	if before != nil {
		where, args = `WHERE (started, id) < (?, ?)`, []any{sqldb.Micros(before.Started), before.ID}
	}
	list := []Invocation{}
	err := s.db.Read().Query(ctx, `SELECT body, broken_off, seen FROM invocation `+where+fmt.Sprintf(` ORDER BY started DESC, id DESC LIMIT %d`, min(max(limit, 1), ledger.MaxLimit)), args,
		func(scan sqldb.Scan) error {
			i, err := s.scanInvocation(scan)
			list = append(list, i)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list invocations: %w", err)
	}
	return list, nil
}
