package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

const (
	// outageLease is what daemons that lose their database have.
	outageLease = 2 * time.Second

	// outageLimit is how long after an outage everything has to be done: a lease, the time
	// after which jobs are given back, and what a busy machine takes.
	outageLimit = 30 * time.Second

	// outageJobs is how many jobs there are in a round.
	outageJobs = 60
)

// exerciseOutages has a database server of its own, so that it can be stopped.
func exerciseOutages(t *testing.T, rounds int) {
	cluster, err := sqldbtest.Start(t.Context(), sqldbtest.Options{Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	o := &outages{cluster: cluster, random: rand.New(rand.NewPCG(20261126, uint64(rounds)))}
	t.Run("a release that fails is made up for", o.aReleaseThatFailsIsMadeUpFor)
	t.Run("a restart takes no jobs from daemons that live", o.aRestartTakesNoJobsFromDaemonsThatLive)
	for n := range rounds {
		t.Run(fmt.Sprintf("no outage loses a job or leaves a claim: round %d", n), o.noOutageLosesAJobOrLeavesAClaim)
	}
}

type outages struct {
	cluster *sqldbtest.Cluster
	random  *rand.Rand
}

func (o *outages) database(t *testing.T) string {
	t.Helper()
	url, err := o.cluster.NewDatabase(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// restart stops the server, does something, and starts it again.
func (o *outages) restart(t *testing.T, meanwhile func()) {
	t.Helper()
	if err := o.cluster.Crash(); err != nil {
		t.Fatal(err)
	}
	meanwhile()
	if err := o.cluster.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (o *outages) aReleaseThatFailsIsMadeUpFor(t *testing.T) {
	url := o.database(t)
	// The lease is so long that nobody can wait for its end.
	first, second := OpenAt(t, url, store.Options{Lease: time.Hour}), OpenAt(t, url, store.Options{Lease: time.Hour})
	Run(t, first, Pushed)
	if busy(t, first, store.Attempt{}, "a") || busy(t, first, store.Attempt{}, "b") {
		t.Fatal("an unknown blob is busy")
	}
	// What is durable now has made durable what was written before. And the daemon runs.
	Enqueue(t, first, Jobs("inv", 1))
	Settled(t, first, "inv", outageLimit)
	o.restart(t, func() {
		for digest, repository := range map[string]string{"a": "", "b": "acme/app"} {
			if err := first.ReleaseBlobs(t.Context(), store.Attempt{}, blobs(digest), repository); err == nil {
				t.Errorf("%s was released in a database that is away", digest)
			}
		}
	})
	deadline, cancel := context.WithTimeout(t.Context(), outageLimit)
	defer cancel()
	for {
		grant, err := second.ClaimBlobs(deadline, store.Attempt{}, blobs("a", "b"))
		if err == nil {
			if grant.Elsewhere["a"] != "" || grant.Elsewhere["b"] != "acme/app" {
				t.Errorf("the other daemon hears of %q", grant.Elsewhere)
			}
			return
		}
		if deadline.Err() != nil {
			t.Fatal("the blobs were not released when the database was back")
		}
	}
}

// The jobs of a daemon that died in the outage show that the others have looked.
func (o *outages) aRestartTakesNoJobsFromDaemonsThatLive(t *testing.T) {
	url := o.database(t)
	var mu sync.Mutex
	begun := map[string]int{}
	goOn := make(chan struct{})
	work := func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		mu.Lock()
		begun[job.Invocation]++
		mu.Unlock()
		if job.Invocation == "held" {
			<-goOn
		}
		return Pushed(ctx, job, attempt)
	}
	first := OpenAt(t, url, store.Options{})
	Enqueue(t, first, Jobs("orphaned", 1))
	peer := startPeer(t, url)
	peer.says(t, "begun")
	Enqueue(t, first, Jobs("held", 8))
	// With as many jobs each of the two has to be at work.
	runWith(t, first, work, 4)
	runWith(t, OpenAt(t, url, store.Options{}), work, 5) // one for the dead daemon's job
	letGo := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(letGo)
	atOnce(t, "the jobs to begin", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return begun["held"] == 8
	})
	o.restart(t, func() { peer.signal(t, syscall.SIGKILL) })
	settledInTheEnd(t, first, "orphaned")
	letGo()
	settledInTheEnd(t, first, "held")
	mu.Lock()
	defer mu.Unlock()
	if begun["held"] != 8 || begun["orphaned"] != 1 {
		t.Errorf("jobs were begun %v times, want eight that were held, each once, and the dead daemon's", begun)
	}
}

// settledInTheEnd is [Settled] where the database may be away.
func settledInTheEnd(t *testing.T, s *store.Store, invocation string) {
	t.Helper()
	atOnce(t, "the jobs of "+invocation, func() bool {
		n, err := s.Pending(t.Context(), invocation)
		return err == nil && n == 0
	})
}

// atOnce looks until something is so.
func atOnce(t *testing.T, what string, is func() bool) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	limit := time.After(outageLimit)
	for !is() {
		select {
		case <-again.C:
		case <-limit:
			t.Fatalf("waited %s for %s", outageLimit, what)
		}
	}
}

// Two daemons work while their database crashes or stands still.
func (o *outages) noOutageLosesAJobOrLeavesAClaim(t *testing.T) {
	url := o.database(t)
	w := &outageWorkers{here: map[*store.Store]bool{}, all: make(chan struct{})}
	stores := []*store.Store{OpenAt(t, url, store.Options{Lease: outageLease}), OpenAt(t, url, store.Options{Lease: outageLease})}
	Enqueue(t, stores[0], Jobs("inv", outageJobs))
	var stops []func()
	for _, s := range stores {
		stops = append(stops, runWith(t, s, func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
			return w.work(ctx, s, job, attempt)
		}, 4))
	}
	for range 1 + o.random.IntN(2) {
		after := 1 + o.random.IntN(outageJobs/2) // with none, a daemon may not have begun
		ended := w.ended()
		atOnce(t, "jobs to end", func() bool {
			done := w.ended()
			return done-ended >= after || done == outageJobs
		})
		o.outage(t)
		w.outageEnded()
	}
	settledInTheEnd(t, stores[0], "inv")
	if waited := w.longestWait(); waited > outageLimit/2 {
		t.Errorf("a job waited %s for a claim when the database was back", waited)
	}
	rows := map[string]int{}
	for _, e := range Entries(t, stores[0], ledger.Query{Invocation: "inv", Limit: 1000}) {
		rows[e.Target]++
		if rows[e.Target] > 1 || e.Outcome != ledger.Pushed {
			t.Errorf("%s has %d rows, the last %s", e.Target, rows[e.Target], e.Outcome)
		}
	}
	if len(rows) != outageJobs {
		t.Errorf("%d jobs have a row, of %d", len(rows), outageJobs)
	}
	for _, stop := range stops {
		stop()
	}
	noClaimIsLeft(t, url)
}

// outage is a crash and a restart, or a while in which nothing answers.
func (o *outages) outage(t *testing.T) {
	t.Helper()
	away := time.NewTimer(time.Duration(o.random.Int64N(int64(outageLease))))
	defer away.Stop()
	if o.random.IntN(2) == 0 {
		o.restart(t, func() { <-away.C })
		return
	}
	if err := o.cluster.Pause(); err != nil {
		t.Fatal(err)
	}
	<-away.C
	if err := o.cluster.Resume(); err != nil {
		t.Fatal(err)
	}
}

// noClaimIsLeft checks that no claim is left of two daemons that have left, and whose
// database was there in the end.
func noClaimIsLeft(t *testing.T, url string) {
	t.Helper()
	if n := count(t, url, `blob_claim WHERE repository = ''`); n > 0 {
		t.Errorf("%d blobs are claimed by nobody", n)
	}
	if n := count(t, url, `tag_fence WHERE lease_job IS NOT NULL`); n > 0 {
		t.Errorf("%d tags are claimed by nobody", n)
	}
}

func count(t *testing.T, url, what string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if err := conn.QueryRow(t.Context(), `SELECT COUNT(*) FROM `+what).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// outageWorkers do jobs as a haul does: claim blobs and tags that others want too, and
// release them.
type outageWorkers struct {
	mu sync.Mutex
	// here are the daemons that are at work, and all is closed when both are.
	here   map[*store.Store]bool
	all    chan struct{}
	done   int
	back   time.Time // the end of the last outage
	waited time.Duration
}

func (w *outageWorkers) work(ctx context.Context, s *store.Store, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
	w.arrive(s)
	claim := blobs("shared by all", "own of "+job.Target)
	claim.Limit = time.Hour
	began := time.Now()
	for {
		_, err := s.ClaimBlobs(ctx, attempt, claim)
		if err == nil {
			break
		}
		if !isPostponed(err) {
			return ledger.Entry{}, err
		}
	}
	w.waitedSince(began)
	defer func() {
		if err := s.ReleaseBlobs(context.WithoutCancel(ctx), attempt, claim, ""); err != nil {
			_ = err // it is tried again
		}
	}()
	if _, err := s.ClaimTags(ctx, attempt, store.TagClaim{Registry: "r.test", Repository: "app", Tags: []string{"latest"}, Digest: "sha256:1", Invocation: job.Invocation}); err != nil {
		if errors.Is(err, store.ErrLost) {
			return ledger.Entry{}, err
		}
		return ledger.Entry{}, &store.PostponeError{After: 10 * time.Millisecond}
	}
	entry, err := Pushed(ctx, job, attempt)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done++
	return entry, err
}

// arrive waits for the other daemon, so that the outage meets two at work.
func (w *outageWorkers) arrive(s *store.Store) {
	w.mu.Lock()
	if !w.here[s] {
		w.here[s] = true
		if len(w.here) == 2 {
			close(w.all)
		}
	}
	w.mu.Unlock()
	<-w.all
}

func (w *outageWorkers) ended() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return min(w.done, outageJobs)
}

func (w *outageWorkers) outageEnded() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.back = time.Now()
}

func (w *outageWorkers) waitedSince(began time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.back.After(began) {
		began = w.back
	}
	w.waited = max(w.waited, time.Since(began))
}

func (w *outageWorkers) longestWait() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waited
}
