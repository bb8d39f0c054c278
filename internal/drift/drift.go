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

	// pieceSize is how many lookups are reported at a time.
	pieceSize = 100
)

// Scope says which of what the ledger says is looked up, and how fast. The zero value is
// all of it, as fast as the registries bear.
type Scope struct {
	// Before, if set, leaves out what rows from this number on say. They still tell which
	// row was the last to write a tag.
	Before int64
	// Most, if set, bounds the tags and digests that are looked up. What one row says is
	// not divided.
	Most int
	// Wait, if set, is called before each lookup; one is under way at a time then.
	Wait func(ctx context.Context) error
	// Progress, if set, is called now and then with what has been found since it was
	// called last.
	Progress func(Report) error
}

// Report says how the registries compare with the ledger.
type Report struct {
	// Checked counts the tags and digests that were looked up.
	Checked int
	// Differences are in the order of their rows.
	Differences []Difference
	// Next is the [Scope.Before] that goes on after this report, or 0 if all has been
	// looked up.
	Next int64
}

// Kind is what is wrong with a tag or a digest.
type Kind string

// The kinds.
const (
	Missing Kind = "missing" // it is no longer in the registry
	Changed Kind = "changed" // it is another image
	Unknown Kind = "unknown" // it could not be looked up
)

// Difference is a tag or a digest that is not served as the ledger says, or that could
// not be looked up.
type Difference struct {
	// Row is the number of the ledger's row.
	Row  int64 `json:"row"`
	Kind Kind  `json:"kind"`
	// Reference is HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST, Text says what is wrong
	// with it.
	Reference string `json:"reference"`
	Text      string `json:"text"`
}

func (d Difference) String() string { return fmt.Sprintf("row %d: %s %s", d.Row, d.Reference, d.Text) }

// Check looks up the digests that the entries say were pushed, and the tags that their
// newest writers left. Entries come newest first. An error is one of the entries', or
// says that the context has ended; what a registry refuses is a difference.
func Check(ctx context.Context, registries *registry.Client, entries iter.Seq2[ledger.Entry, error], scope Scope) (Report, error) {
	gathered := newStatements()
	for e, err := range entries {
		if err != nil {
			return Report{}, err
		}
		gathered.add(e)
	}
	list := gathered.list
	if scope.Before > 0 {
		list = slices.DeleteFunc(list, func(s statement) bool { return s.row >= scope.Before })
	}
	slices.SortStableFunc(list, func(a, b statement) int { return cmp.Compare(b.row, a.row) })
	var whole Report
	for len(list) > 0 {
		size := pieceSize
		if scope.Most > 0 {
			size = min(size, scope.Most-whole.Checked)
		}
		n := ofWholeRows(list, size)
		piece, err := check(ctx, registries, list[:n], scope.Wait)
		if err != nil {
			return whole, err
		}
		if list = list[n:]; len(list) > 0 {
			piece.Next = list[0].row + 1
		}
		if scope.Progress != nil {
			if err := scope.Progress(piece); err != nil {
				return whole, err
			}
		}
		whole.Checked += piece.Checked
		whole.Differences, whole.Next = append(piece.Differences, whole.Differences...), piece.Next
		if scope.Most > 0 && whole.Checked >= scope.Most {
			break
		}
	}
	return whole, nil
}

// ofWholeRows is how many of the statements to take for about size: all that a row says.
func ofWholeRows(list []statement, size int) int {
	n := min(max(size, 1), len(list))
	for n < len(list) && list[n].row == list[n-1].row {
		n++
	}
	return n
}

// check looks up what the statements say.
func check(ctx context.Context, registries *registry.Client, list []statement, wait func(context.Context) error) (Report, error) {
	report := Report{Checked: len(list)}
	var mu sync.Mutex
	var lookups errgroup.Group
	lookups.SetLimit(lookupsAtOnce)
	if wait != nil {
		lookups.SetLimit(1)
	}
	for _, said := range list {
		lookups.Go(func() error {
			if wait != nil {
				if err := wait(ctx); err != nil {
					return err
				}
			}
			if kind, wrong := said.check(ctx, registries); wrong != "" {
				mu.Lock()
				defer mu.Unlock()
				report.Differences = append(report.Differences, Difference{Row: said.row, Kind: kind, Reference: said.name(), Text: wrong})
			}
			return ctx.Err()
		})
	}
	if err := lookups.Wait(); err != nil {
		return Report{}, fmt.Errorf("ask the registries: %w", err)
	}
	slices.SortFunc(report.Differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Row, b.Row), cmp.Compare(a.Reference, b.Reference))
	})
	return report, nil
}

// check says what is wrong with a statement, or nothing.
func (s statement) check(ctx context.Context, registries *registry.Client) (kind Kind, wrong string) {
	repository, err := registries.Repository(s.registry, s.repository, registry.Caller{})
	if err != nil {
		return Unknown, "could not be looked up: " + err.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	served, found, err := repository.PullDigest(ctx, s.reference)
	switch {
	case err != nil:
		return Unknown, "could not be looked up: " + err.Error()
	case found && slices.Contains(s.others, served.String()):
		return "", ""
	case found && s.digest == "":
		return Changed, fmt.Sprintf("is %s, but the ledger says that it was removed: something other than the daemon has written it", served)
	case !found && s.digest != "":
		return Missing, "is no longer in the registry: somebody deleted it, or the registry's retention did"
	case found && served.String() != s.digest:
		return Changed, fmt.Sprintf("is %s, but the ledger says %s: something other than the daemon has written it", served, s.digest)
	}
	return "", ""
}
