package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/drayage/drayage/internal/sqldb"
)

// OwnerError is of a write to an invocation that belongs to another client.
type OwnerError struct {
	Invocation string
	// Owner is whose the invocation is: a client that has proved who it is, or "" where its
	// client has not.
	Owner string
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("invocation %s belongs to another client", e.Invocation)
}

// Claim makes an invocation known as its owner's, for ever: the first that claims it has
// it. Owner is the client that sends its stream, if it has proved who it is, and else "":
// whoever has proved nothing is one owner. It is durable on return. The error is an
// [*OwnerError] if the invocation is another's, and a [*QuotaError] if the client, which
// need not be proved, may have no more of them kept.
func (s *Store) Claim(ctx context.Context, invocation, owner, client string) error {
	id := sqldb.CleanText(invocation)
	// Most that begin again are known, and a transaction costs more than a look.
	owners, err := s.ownersOf(ctx, s.db.Read(), []string{id})
	if known, there := owners[id]; err == nil && there {
		if known != sqldb.CleanText(owner) {
			err = &OwnerError{Invocation: id, Owner: known}
		}
	} else if err == nil {
		err = s.intakes.do(ctx, invocation, 1, intake{invocationID: invocation, owner: owner, client: client, claim: true})
	}
	if err != nil {
		return fmt.Errorf("claim invocation %s: %w", invocation, err)
	}
	return nil
}

// ownersOf are the owners of those of the invocations that are known. They do not change.
func (s *Store) ownersOf(ctx context.Context, c sqldb.Conn, ids []string) (map[string]string, error) {
	owners := make(map[string]string, len(ids))
	var old []string
	for piece := range slices.Chunk(ids, maxRead) {
		args := make([]any, len(piece))
		for i, id := range piece {
			args[i] = id
		}
		err := c.Query(ctx, `SELECT id, owner FROM invocation WHERE id IN (`+sqldb.Values(len(args), "?")+`)`, args, func(scan sqldb.Scan) error {
			var id string
			var owner *string
			if err := scan(&id, &owner); err != nil {
				return err
			}
			if owner == nil {
				old = append(old, id)
				return nil
			}
			owners[id] = *owner
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, id := range old {
		i, found, err := s.readInvocation(ctx, c, id, "")
		if err != nil {
			return nil, err
		}
		if found {
			owners[id] = i.Owner
		}
	}
	return owners, nil
}

// admit makes the invocations known that the batch claims or saves, and fails if anything
// in it is for an invocation that is another owner's. What it makes known is noted in news.
func (s *Store) admit(ctx context.Context, tx sqldb.Conn, batch []intake, news usages) error {
	claimed, clients := map[string]string{}, map[string]string{}
	concerned := map[string]bool{}
	for _, in := range batch {
		for id := range in.owners() {
			concerned[id] = true
			if _, twice := claimed[id]; !twice && (in.claim || in.invocation != nil) {
				claimed[id], clients[id] = sqldb.CleanText(in.owner), sqldb.CleanText(in.client)
			}
		}
	}
	now := sqldb.Micros(s.now())
	// In one order everywhere, so that two daemons do not wait for one another.
	for _, id := range slices.Sorted(maps.Keys(claimed)) {
		body, err := json.Marshal(Invocation{ID: id, Owner: claimed[id]}, json.Deterministic(true))
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		fresh, err := tx.Exec(ctx, `INSERT INTO invocation (id, build_id, started, updated, finished, exit_code, streamed, seen, owner, body)
			VALUES (?, '', 0, ?, 0, '', ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`, id, now, now, sqldb.Micros(s.leaseTime()), claimed[id], body)
		if err != nil {
			return fmt.Errorf("make invocation %s known: %w", id, err)
		}
		if fresh > 0 {
			news.addInvocation(clients[id])
		}
	}
	owners, err := s.ownersOf(ctx, tx, slices.Sorted(maps.Keys(concerned)))
	if err != nil {
		return fmt.Errorf("read owners: %w", err)
	}
	for _, in := range batch {
		for id, owner := range in.owners() {
			if known, there := owners[id]; there && known != owner {
				return &OwnerError{Invocation: id, Owner: known}
			}
		}
	}
	return nil
}

// owners are the invocations that the intake is for, and in whose name.
func (in intake) owners() map[string]string {
	owners := map[string]string{}
	for _, job := range in.jobs {
		owners[sqldb.CleanText(job.Invocation)] = sqldb.CleanText(job.Owner)
	}
	if in.invocationID != "" {
		owners[sqldb.CleanText(in.invocationID)] = sqldb.CleanText(in.owner)
	}
	return owners
}
