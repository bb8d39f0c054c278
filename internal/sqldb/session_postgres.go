package sqldb

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// closeLimit bounds the goodbye.
	closeLimit = 2 * time.Second

	// deadAfter is how long a daemon that does not hold the lock of its name may be
	// silent before it counts as dead. A daemon whose connection broke is back before,
	// if it lives.
	deadAfter = 3 * time.Second
)

// postgresSession is a connection that holds a lock on the daemon's name for as long
// as the daemon lives: PostgreSQL lets go of it when the connection ends, which
// on the death of a process is at once. A daemon that gets the lock of another's
// name, and does not hear of the other any more, knows that it is gone.
type postgresSession struct {
	config *pgx.ConnConfig
	name   string
	// stallLimit is [Options.StallLimit].
	stallLimit time.Duration
	conn       *pgx.Conn
	// keeper says that the connection holds the keeper's lock.
	keeper bool

	// heard is when the last beat ended well, and judges from when on this daemon says
	// of others that they are dead or have stalled. Where it was not heard of itself,
	// because the server was away, neither were they.
	heard, judges time.Time
	// clock is what [Session.Clock] returns, and trip the round trip that it was measured
	// in: it is right within half of that.
	clock, trip time.Duration
}

func joinPostgres(ctx context.Context, config *pgx.ConnConfig, name string, stallLimit time.Duration) (Session, error) {
	// When a whole machine goes nobody closes its connections. These make the
	// server find out in about ten seconds, and not in two hours.
	maps.Copy(config.RuntimeParams, map[string]string{
		"tcp_keepalives_idle": "4", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3",
	})
	p := &postgresSession{config: config, name: name, stallLimit: stallLimit}
	if _, err := p.Beat(ctx); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Beat implements [Session]. The daemon that holds the keeper's lock keeps it
// until it goes.
func (p *postgresSession) Beat(ctx context.Context) (keeper bool, err error) {
	err = p.beat(ctx)
	if err != nil && ctx.Err() == nil && p.conn != nil && p.conn.IsClosed() {
		err = p.beat(ctx) // the connection had broken
	}
	if err != nil {
		return false, fmt.Errorf("tell PostgreSQL that this daemon is alive: %w", err)
	}
	return p.keeper, nil
}

func (p *postgresSession) beat(ctx context.Context) error {
	if p.conn == nil || p.conn.IsClosed() {
		if err := p.connect(ctx); err != nil {
			return err
		}
	}
	began := time.Now()
	var serverTime time.Time
	err := p.conn.QueryRow(ctx, `INSERT INTO daemon (id, seen) VALUES ($1, now()) ON CONFLICT (id) DO UPDATE SET seen = now() RETURNING clock_timestamp()`, p.name).
		Scan(&serverTime)
	if err == nil && !p.keeper {
		err = p.conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, lockNumber("keeper")).Scan(&p.keeper)
	}
	if err != nil {
		return err
	}
	now := time.Now()
	p.measure(serverTime, began, now.Sub(began))
	if !p.heard.IsZero() && now.Sub(p.heard) > deadAfter {
		p.judges = now.Add(deadAfter)
	}
	p.heard = now
	return nil
}

// measure compares the clocks. What was measured before stays unless this is more exact,
// or shows it to be wrong: leases must not jump about.
func (p *postgresSession) measure(server, began time.Time, trip time.Duration) {
	clock := server.Sub(began.Add(trip / 2))
	if p.trip == 0 || trip <= p.trip || (clock-p.clock).Abs() > trip/2 {
		p.clock, p.trip = clock, trip
	}
}

// Clock implements [Session].
func (p *postgresSession) Clock() time.Duration { return p.clock }

func (p *postgresSession) connect(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return fmt.Errorf("open session: %w", err)
	}
	p.conn, p.keeper = conn, false
	// Waits while the server has not noticed the end of the last connection.
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, lockNumber("daemon "+p.name)); err != nil {
		return fmt.Errorf("open session: %w", err)
	}
	// What broke this connection may have broken the others'.
	judgesAtOnce := false
	if p.heard.IsZero() {
		err := conn.QueryRow(ctx, `SELECT pg_postmaster_start_time() < now() - make_interval(secs => $1)`, 2*deadAfter.Seconds()).Scan(&judgesAtOnce)
		if err != nil {
			return fmt.Errorf("open session: %w", err)
		}
	}
	if !judgesAtOnce {
		p.judges = time.Now().Add(deadAfter)
	}
	return nil
}

// neighbour is another daemon that has jobs, or had.
type neighbour struct {
	Name string
	// Silent says that it has not been heard of for a while, Stale that this has been
	// for too long.
	Silent, Stale bool
}

// Reap implements [Session].
func (p *postgresSession) Reap(ctx context.Context) (Reaped, error) {
	if p.conn == nil || p.conn.IsClosed() || time.Now().Before(p.judges) {
		return Reaped{}, nil
	}
	rows, err := p.conn.Query(ctx, `
		SELECT owner, COALESCE(`+silentFor(deadAfter)+`, TRUE), COALESCE(`+silentFor(p.stallLimit)+`, FALSE)
		FROM (SELECT DISTINCT attempted_by[array_upper(attempted_by, 1)] AS owner FROM river_job WHERE state = 'running'
			UNION SELECT id FROM daemon) o
		LEFT JOIN daemon ON daemon.id = o.owner
		WHERE owner IS NOT NULL AND owner <> $1`, p.name)
	if err != nil {
		return Reaped{}, fmt.Errorf("list daemons: %w", err)
	}
	neighbours, err := pgx.CollectRows(rows, pgx.RowToStructByPos[neighbour])
	if err != nil {
		return Reaped{}, fmt.Errorf("list daemons: %w", err)
	}
	var all Reaped
	for _, other := range neighbours {
		if !other.Silent {
			continue
		}
		jobs, dead, err := p.reapOne(ctx, other)
		if err != nil {
			return all, fmt.Errorf("give back jobs of %s: %w", other.Name, err)
		}
		all.Jobs += jobs
		if dead {
			all.Dead = append(all.Dead, other.Name)
		}
	}
	return all, nil
}

// reapOne gives back a daemon's jobs if it is dead, or stale.
func (p *postgresSession) reapOne(ctx context.Context, other neighbour) (jobs int64, dead bool, err error) {
	lock := lockNumber("daemon " + other.Name)
	if err := p.conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, lock).Scan(&dead); err != nil {
		return 0, false, err
	}
	if dead {
		defer func() {
			if _, unlock := p.conn.Exec(ctx, `SELECT pg_advisory_unlock($1)`, lock); err == nil {
				err = unlock
			}
		}()
	}
	if !dead && !other.Stale {
		return 0, false, nil
	}
	tag, err := p.conn.Exec(ctx, `UPDATE river_job SET state = 'available'
		WHERE state = 'running' AND attempted_by[array_upper(attempted_by, 1)] = $1`, other.Name)
	if err != nil {
		return 0, false, err
	}
	if dead {
		_, err = p.conn.Exec(ctx, `DELETE FROM daemon WHERE id = $1`, other.Name)
	}
	return tag.RowsAffected(), dead, err
}

// Close implements [Session]. The end of the connection says all there is to say,
// but the server may take a moment to see it.
func (p *postgresSession) Close() {
	if p.conn == nil || p.conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	_, _ = p.conn.Exec(ctx, `DELETE FROM daemon WHERE id = $1`, p.name)
	_, _ = p.conn.Exec(ctx, `SELECT pg_advisory_unlock_all()`)
	_ = p.conn.Close(ctx)
}

// lockNumber is the number of an advisory lock: they have no names.
func lockNumber(name string) int64 {
	sum := sha256.Sum256([]byte("drayage " + name))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}
