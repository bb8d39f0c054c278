package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// queryRuns is how often each query is asked, with other values each time.
const queryRuns = 200

// queryGoal is what a documented query may take. It is held against the 95th
// percentile: of two hundred, the worst two are the machine's.
const queryGoal = 10 * time.Millisecond

// queries times each kind of question that docs/ledger.md shows.
func queries(ctx context.Context, report *report, s *store.Store, size sizes, name string) error {
	random := rand.New(rand.NewPCG(1, 2))
	n := func() int { return random.IntN(size.rows) }
	at := func(row int) time.Time { return time.UnixMicro(fillStart).Add(time.Duration(row) * time.Second) }
	repository := func() string { return fmt.Sprintf("team/app%d", n()%fillTargets) }
	registries := []string{"one.example.com", "two.example.com"}

	report.linef(fmt.Sprintf("%d rows, pages of %d", size.rows, ledger.DefaultLimit), "")
	for _, q := range []struct {
		name string
		ask  func() ledger.Query
	}{
		{"newest", func() ledger.Query { return ledger.Query{} }},
		{"digest", func() ledger.Query { return ledger.Query{Digest: fmt.Sprintf("sha256:%064d", n()/10)} }},
		{"platform-digest", func() ledger.Query { return ledger.Query{Digest: fmt.Sprintf("sha256:a%064d", n()/10)} }},
		{"tag-history", func() ledger.Query {
			i := n() % fillTargets
			return ledger.Query{Registry: registries[i%2], Repository: fmt.Sprintf("team/app%d", i), Tag: "latest"}
		}},
		{"tag", func() ledger.Query { return ledger.Query{Tag: "latest", Until: at(n())} }},
		{"repository", func() ledger.Query { return ledger.Query{Repository: repository()} }},
		{"registry", func() ledger.Query { return ledger.Query{Registry: registries[n()%2]} }},
		{"registry-given-up", func() ledger.Query { return ledger.Query{Registry: "old.example.com"} }},
		{"target", func() ledger.Query {
			return ledger.Query{Target: fmt.Sprintf("//services/app%d:push", n()%fillTargets)}
		}},
		{"invocation", func() ledger.Query { return ledger.Query{Invocation: fmt.Sprintf("fill-%d", n()/fillBuild)} }},
		{"commit", func() ledger.Query { return ledger.Query{Commit: fmt.Sprintf("%064d", n()/fillBuild)} }},
		{"outcome", func() ledger.Query { return ledger.Query{Outcome: ledger.Failed} }},
		{"outcome-long-ago", func() ledger.Query { return ledger.Query{Outcome: ledger.Denied} }},
		{"time", func() ledger.Query { i := n(); return ledger.Query{Since: at(i), Until: at(i + 3600)} }},
		{"repository-in-time", func() ledger.Query {
			i := n()
			return ledger.Query{Repository: repository(), Since: at(i), Until: at(i + 100_000)}
		}},
		{"outcome-in-time", func() ledger.Query { i := n(); return ledger.Query{Outcome: ledger.Failed, Until: at(i)} }},
		{"deep-page", func() ledger.Query { return ledger.Query{Before: int64(fillFirstID + n())} }},
	} {
		times := make([]time.Duration, queryRuns)
		found := 0
		for i := range times {
			query := q.ask()
			began := time.Now()
			rows, err := s.Entries(ctx, query)
			if err != nil {
				return err
			}
			times[i] = time.Since(began)
			found += len(rows)
		}
		report.linef("  "+q.name, "%s, %d rows a page", spread(times), found/queryRuns)
		report.below(name+"-query-"+q.name+"-p95", quantile(times, 0.95), queryGoal)
	}
	return questions(ctx, report, s, size, name, random)
}

// questions times what is asked about a whole invocation.
func questions(ctx context.Context, report *report, s *store.Store, size sizes, name string, random *rand.Rand) error {
	invocation := func() string { return fmt.Sprintf("fill-%d", random.IntN(size.rows)/fillBuild) }
	times := make([]time.Duration, queryRuns)
	for i := range times {
		began := time.Now()
		if _, err := s.Pending(ctx, invocation()); err != nil {
			return err
		}
		times[i] = time.Since(began)
	}
	report.linef("  pending", "%s", spread(times))
	report.below(name+"-query-pending-p95", quantile(times, 0.95), queryGoal)
	return nil
}
