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

// closeLimit bounds the goodbye.
const closeLimit = 2 * time.Second

// postgresSession is a connection that holds a lock on the daemon's name for as long
// as the daemon lives: PostgreSQL lets go of it when the connection ends, which
// on the death of a process is at once. A daemon that gets the lock of another's
// name knows that the other is gone.
type postgresSession struct {
	config *pgx.ConnConfig
	name   string
	// stallLimit is [Options.StallLimit].
	stallLimit time.Duration
	conn       *pgx.Conn
	// keeper says that the connection holds the keeper's lock.
	keeper bool
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
	if p.conn == nil || p.conn.IsClosed() {
		if err := p.connect(ctx); err != nil {
			return false, err
		}
	}
	_, err = p.conn.Exec(ctx, `INSERT INTO daemon (id, seen) VALUES ($1, now()) ON CONFLICT (id) DO UPDATE SET seen = now()`, p.name)
	if err == nil && !p.keeper {
		err = p.conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, lockNumber("keeper")).Scan(&p.keeper)
	}
	if err != nil {
		return false, fmt.Errorf("tell PostgreSQL that this daemon is alive: %w", err)
	}
	return p.keeper, nil
}

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
	return nil
}

// Reap implements [Session].
func (p *postgresSession) Reap(ctx context.Context) (jobs int64, err error) {
	if p.conn == nil || p.conn.IsClosed() {
		return 0, nil // the next beat connects
	}
	rows, err := p.conn.Query(ctx, `
		SELECT owner, COALESCE(`+stale(p.stallLimit)+`, FALSE)
		FROM (SELECT DISTINCT attempted_by[array_upper(attempted_by, 1)] AS owner FROM river_job WHERE state = 'running'
			UNION SELECT id FROM daemon) o
		LEFT JOIN daemon ON daemon.id = o.owner
		WHERE owner IS NOT NULL AND owner <> $1`, p.name)
	if err != nil {
		return 0, fmt.Errorf("list daemons: %w", err)
	}
	type owner struct {
		Name  string
		Stale bool
	}
	owners, err := pgx.CollectRows(rows, pgx.RowToStructByPos[owner])
	if err != nil {
		return 0, fmt.Errorf("list daemons: %w", err)
	}
	for _, o := range owners {
		n, err := p.reapOne(ctx, o.Name, o.Stale)
		if err != nil {
			return jobs, fmt.Errorf("give back jobs of %s: %w", o.Name, err)
		}
		jobs += n
	}
	return jobs, nil
}

// reapOne gives back a daemon's jobs if it is gone, or stale.
func (p *postgresSession) reapOne(ctx context.Context, name string, stale bool) (jobs int64, err error) {
	var gone bool
	if err := p.conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, lockNumber("daemon "+name)).Scan(&gone); err != nil {
		return 0, err
	}
	if gone {
		defer func() {
			if _, unlock := p.conn.Exec(ctx, `SELECT pg_advisory_unlock($1)`, lockNumber("daemon "+name)); err == nil {
				err = unlock
			}
		}()
	}
	if !gone && !stale {
		return 0, nil
	}
	tag, err := p.conn.Exec(ctx, `UPDATE river_job SET state = 'available'
		WHERE state = 'running' AND attempted_by[array_upper(attempted_by, 1)] = $1`, name)
	if err != nil {
		return 0, err
	}
	if gone {
		_, err = p.conn.Exec(ctx, `DELETE FROM daemon WHERE id = $1`, name)
	}
	return tag.RowsAffected(), err
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
