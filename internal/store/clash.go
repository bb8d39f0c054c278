package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// clash says which two pushes of an invocation want one tag for two images, or "". No tag
// of such a build moves: which of the images it should lead to is not for time to decide.
func (s *Store) clash(ctx context.Context, tx sqldb.Conn, invocation string) (string, error) {
	rows, err := s.endedAs(ctx, tx, invocation, []ledger.Outcome{ledger.Staged, ledger.Withheld, ledger.RolledBack})
	if err != nil {
		return "", err
	}
	entries, err := s.entriesOf(ctx, tx, rows)
	if err != nil {
		return "", err
	}
	list := make([]ledger.Entry, 0, len(entries))
	for _, e := range entries {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b ledger.Entry) int { return strings.Compare(a.Target+a.Digest, b.Target+b.Digest) })
	type tagAt struct{ registry, repository, tag string }
	owners := map[tagAt]ledger.Entry{}
	for _, e := range list {
		for _, tag := range e.HeldTags {
			at := tagAt{e.Registry, e.Repository, tag}
			owner, taken := owners[at]
			if taken && owner.Digest != e.Digest {
				return fmt.Sprintf("%s and %s both want %s/%s:%s, for two images: give each target a tag or a repository of its own", owner.Target, e.Target, at.registry, at.repository, tag), nil
			}
			owners[at] = e
		}
	}
	return "", nil
}
