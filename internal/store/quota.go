package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/drayage/drayage/internal/sqldb"
)

// Limits bound what is kept for one client. Zero is no limit. The keys are those of the
// daemon's configuration.
type Limits struct {
	// Rows bounds the invocations and push specs of a day (UTC).
	Rows int64 `yaml:"client_rows"`
	// Pending bounds the pushes that have not ended.
	Pending int64 `yaml:"client_pending"`
	// SpecBytes bounds the bytes of a day's push specs that came in build events themselves.
	SpecBytes int64 `yaml:"client_spec_bytes"`
}

// DefaultLimits are beyond what a large repository's CI comes to: thousands of builds a day
// with hundreds of images each.
func DefaultLimits() Limits { return Limits{Rows: 2_000_000, Pending: 200_000, SpecBytes: 4 << 30} }

// QuotaError is of something that is not kept, since its client has had as much kept as it may.
type QuotaError struct {
	Client string
	// Limit is the limit by its key, "client_rows" say.
	Limit string
	// reason says what the client has had kept.
	reason string
}

func (e *QuotaError) Error() string { return fmt.Sprintf("%s (limits.%s)", e.reason, e.Limit) }

// usage is what is new of one client.
type usage struct{ rows, pushes, specBytes int64 }

// usages are what is new of each client.
type usages map[string]usage

func (u usages) addInvocation(client string) {
	if client != "" {
		one := u[client]
		one.rows++
		u[client] = one
	}
}

func (u usages) addJobs(jobs []Job) {
	for _, job := range jobs {
		if job.Client != "" {
			one := u[job.Client]
			one.rows++
			one.pushes++
			one.specBytes += int64(len(job.Spec.Inline))
			u[job.Client] = one
		}
	}
}

// charge notes what is new of clients, or fails if one of them has more than it may.
func (s *Store) charge(ctx context.Context, tx sqldb.Conn, news usages) error {
	limits := s.options.Limits
	if limits == (Limits{}) {
		return nil
	}
	day := sqldb.Micros(s.now().Truncate(24 * time.Hour))
	// In one order everywhere, so that two daemons do not wait for one another.
	for _, client := range slices.Sorted(maps.Keys(news)) {
		add := news[client]
		var made, bytes, pending int64
		_, err := sqldb.QueryRow(ctx, tx, `INSERT INTO client_usage (client, day, made, spec_bytes) VALUES (?, ?, ?, ?)
			ON CONFLICT (client, day) DO UPDATE SET made = client_usage.made + excluded.made, spec_bytes = client_usage.spec_bytes + excluded.spec_bytes
			RETURNING made, spec_bytes, pending`, []any{client, day, add.rows, add.specBytes}, &made, &bytes, &pending)
		if err != nil {
			return fmt.Errorf("note what client %s has had kept: %w", client, err)
		}
		switch {
		case limits.Rows > 0 && made > limits.Rows:
			return &QuotaError{Client: client, Limit: "client_rows", reason: fmt.Sprintf("%s has asked for more than %d builds and push specs today", client, limits.Rows)}
		case limits.SpecBytes > 0 && bytes > limits.SpecBytes && add.specBytes > 0:
			return &QuotaError{Client: client, Limit: "client_spec_bytes", reason: fmt.Sprintf("the build events of %s had push specs of more than %d bytes in them today", client, limits.SpecBytes)}
		case limits.Pending > 0 && add.pushes > 0 && (made == add.rows || pending+made > limits.Pending):
			if err := s.countPending(ctx, tx, client, day, made); err != nil {
				return err
			}
		}
	}
	return nil
}

// countPending counts the pushes of a client that have not ended, and notes it, so that
// they need not be counted each time.
func (s *Store) countPending(ctx context.Context, tx sqldb.Conn, client string, day, made int64) error {
	var n int64
	_, err := sqldb.QueryRow(ctx, tx, `SELECT COUNT(*) FROM expected WHERE client = ? AND client <> '' AND entry_id IS NULL`, []any{client}, &n)
	if err == nil {
		_, err = tx.Exec(ctx, `UPDATE client_usage SET pending = ? WHERE client = ? AND day = ?`, n-made, client, day)
	}
	if err != nil {
		return fmt.Errorf("count the pending pushes of client %s: %w", client, err)
	}
	if limit := s.options.Limits.Pending; n > limit {
		return &QuotaError{Client: client, Limit: "client_pending", reason: fmt.Sprintf("%s would have %d pushes that have not ended, and may have %d", client, n, limit)}
	}
	return nil
}
