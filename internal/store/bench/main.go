// Bench measures the store on both databases: how long a durable enqueue takes
// alone and in company, how many jobs a second end in the ledger, and how long
// the ledger's queries take when it has a million rows. It ends with one line
// for each goal:
//
//	goal NAME VALUE OP TARGET met|missed
//
// and exits 1 if one was missed. Differences below a factor of two are noise on
// a machine that does other things as well.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

// sizes are how much is measured.
type sizes struct {
	rows, jobs, enqueues int
}

func main() {
	var size sizes
	flag.IntVar(&size.rows, "rows", 1_000_000, "rows in the ledger that is queried")
	flag.IntVar(&size.jobs, "jobs", 10_000, "jobs that are run to the end")
	flag.IntVar(&size.enqueues, "enqueues", 500, "enqueues that are timed in each case")
	which := flag.String("database", "both", "sqlite, postgres or both")
	folder := flag.String("dir", "", "folder for the SQLite file; the system's temporary one by default")
	programs := flag.String("postgres", "", "folder of PostgreSQL's programs; Debian's by default")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	report := &report{}
	report.machine()
	if err := bench(ctx, report, size, *which, *folder, *programs); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if !report.goals() {
		os.Exit(1)
	}
}

func bench(ctx context.Context, report *report, size sizes, which, folder, programs string) error {
	if which == "sqlite" || which == "both" {
		dir, err := os.MkdirTemp(folder, "drayage-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := measure(ctx, report, size, "sqlite", filepath.Join(dir, "drayage.db")); err != nil {
			return err
		}
	}
	if which == "postgres" || which == "both" {
		cluster, err := sqldbtest.Start(ctx, sqldbtest.Options{Durable: true, Bin: programs})
		if err != nil {
			return err
		}
		defer cluster.Stop()
		url, err := cluster.NewDatabase(ctx, "")
		if err != nil {
			return err
		}
		return measure(ctx, report, size, "postgres", url)
	}
	return nil
}

// measure measures everything on one database.
func measure(ctx context.Context, report *report, size sizes, name, url string) error {
	s, err := store.Open(ctx, url, store.Options{Logger: zerolog.New(os.Stderr).Level(zerolog.WarnLevel)})
	if err != nil {
		return err
	}
	report.heading(name)
	err = errFirst(
		func() error { return enqueues(ctx, report, s, size, name) },
		func() error { return throughput(ctx, report, s, size, name) },
		func() error { return proofs(ctx, report, s, size, name) },
	)
	if err := s.Close(); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	if err := fill(ctx, name, url, size.rows); err != nil {
		return err
	}
	if s, err = store.Open(ctx, url, store.Options{Logger: zerolog.New(os.Stderr).Level(zerolog.WarnLevel)}); err != nil {
		return err
	}
	defer s.Close()
	return queries(ctx, report, s, size, name)
}

func errFirst(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
