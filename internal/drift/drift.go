// Package drift finds what registries no longer serve as the ledger says.
package drift

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/registry"
)

const (
	// lookupsAtOnce bounds the lookups that are under way.
	lookupsAtOnce = 8

	// lookupTimeout bounds the lookup of one tag or digest, with all its tries.
	lookupTimeout = 30 * time.Second
)

// Report says how the registries compare with the ledger.
type Report struct {
	// Checked counts the tags and digests that were looked up.
	Checked int
	// Differences are in the order of their rows.
	Differences []Difference
}

// Difference is a tag or a digest that is not served as the ledger says, or that could
// not be looked up.
type Difference struct {
	// row is the number of the ledger's row.
	row int64
	// text names the tag or digest, and says what is wrong with it.
	text string
}

func (d Difference) String() string { return fmt.Sprintf("row %d: %s", d.row, d.text) }

// Check looks up every digest that the entries say was pushed, and every tag that its
// newest writer left. Entries come newest first. An error is one of the entries', or
// says that the context has ended; what a registry refuses is a difference.
func Check(ctx context.Context, registries *registry.Client, entries iter.Seq2[ledger.Entry, error]) (Report, error) {
	gathered := newStatements()
	for e, err := range entries {
		if err != nil {
			return Report{}, err
		}
		gathered.add(e)
	}
	report := Report{Checked: len(gathered.list)}
	var mu sync.Mutex
	var lookups errgroup.Group
	lookups.SetLimit(lookupsAtOnce)
	for _, said := range gathered.list {
		lookups.Go(func() error {
			if wrong := said.check(ctx, registries); wrong != "" {
				mu.Lock()
				defer mu.Unlock()
				report.Differences = append(report.Differences, Difference{row: said.row, text: said.name() + " " + wrong})
			}
			return ctx.Err()
		})
	}
	if err := lookups.Wait(); err != nil {
		return Report{}, fmt.Errorf("ask the registries: %w", err)
	}
	slices.SortFunc(report.Differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.text, b.text))
	})
	return report, nil
}

// check says what is wrong with a statement, or nothing.
func (s statement) check(ctx context.Context, registries *registry.Client) string {
	repository, err := registries.Repository(s.registry, s.repository, registry.Caller{})
	if err != nil {
		return "could not be looked up: " + err.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	served, found, err := repository.PullDigest(ctx, s.reference)
	switch {
	case err != nil:
		return "could not be looked up: " + err.Error()
	case found && slices.Contains(s.others, served.String()):
		return ""
	case found && s.digest == "":
		return fmt.Sprintf("is %s, but the ledger says that it was removed: something other than the daemon has written it", served)
	case !found && s.digest != "":
		return "is no longer in the registry: somebody deleted it, or the registry's retention did"
	case found && served.String() != s.digest:
		return fmt.Sprintf("is %s, but the ledger says %s: something other than the daemon has written it", served, s.digest)
	}
	return ""
}
