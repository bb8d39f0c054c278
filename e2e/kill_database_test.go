package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drayage/drayage/bes/bestest"
	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

const (
	// outageImages is the number of images that are hauled through the outages.
	outageImages = 300

	// afterOutage bounds how long everything may take when the database is back: a lease,
	// and the work.
	afterOutage = store.DefaultLease + time.Minute
)

// Two daemons work while their database is stopped at once, started again, or stands
// still.
func TestKillsOfTheDatabaseLoseNothingAndLeaveNoClaim(t *testing.T) {
	t.Parallel()
	cluster, url := rig.StartCluster(t, sqldbtest.Options{Durable: true})
	cache, registry := rig.StartBazelRemote(t), rig.StartRegistry(t)
	config := rig.DaemonConfig{CAS: cache.GRPC, Store: url, More: map[string]any{"log": map[string]any{"level": "info"}}}
	k := &databaseKiller{
		cluster: cluster, url: url, cache: cache, registry: registry.Host,
		first: rig.StartDrayaged(t, config), second: rig.StartDrayaged(t, config),
		random: rand.New(rand.NewPCG(20261126, uint64(*kills))), left: *kills,
	}
	for k.left > 0 {
		k.round(t)
	}
	t.Logf("%d rounds; the last push ended at most %s after the last outage", k.rounds, k.slowest)
}

type databaseKiller struct {
	cluster       *sqldbtest.Cluster
	url           string
	cache         *rig.BazelRemote
	registry      string
	first, second *rig.Daemon
	random        *rand.Rand
	left, rounds  int
	slowest       time.Duration
}

// round pushes one fleet through a few outages, and checks what became of it.
func (k *databaseKiller) round(t *testing.T) {
	t.Helper()
	k.rounds++
	f := rig.NewFleet(t, k.cache, rig.FleetPlan{
		Invocation: fmt.Sprintf("outage-%d", k.rounds), Registry: k.registry,
		Images: outageImages, Repositories: 13, Shared: 256 << 10, Own: 512, OwnEvery: 2,
	})
	u := startUploadWith(t, f, k.first, time.Second) // as Bazel does
	ctx, cancel := context.WithTimeout(t.Context(), killRound)
	defer cancel()
	var back time.Time
	for outages := min(k.left, 1+k.random.IntN(3)); outages > 0; outages-- {
		u.moment(ctx, k.random)
		k.outage(t)
		k.left--
		back = time.Now()
	}
	if outcome := u.wait(); outcome.Exit != bestest.ExitOK {
		t.Fatalf("Bazel ends with %d after %d of %d acknowledgements: %v", outcome.Exit, outcome.Acknowledged, len(f.Events)+1, outcome.Err)
	}
	k.second.WaitPushed(t, f.Invocation, afterOutage)
	k.slowest = max(k.slowest, time.Since(back))
	checkFleet(t, f, k.registry, allRows(t, k.second, ledger.Query{Invocation: f.Invocation}))
	k.checkClaims(t)
}

// outage stops the server and starts it again, or has it stand still for a while.
func (k *databaseKiller) outage(t *testing.T) {
	t.Helper()
	away := time.NewTimer(time.Duration(k.random.Int64N(int64(3 * time.Second))))
	defer away.Stop()
	if k.random.IntN(2) == 0 {
		check(t, k.cluster.Crash())
		<-away.C
		check(t, k.cluster.Restart(t.Context()))
		return
	}
	check(t, k.cluster.Pause())
	<-away.C
	check(t, k.cluster.Resume())
}

// checkClaims waits until nothing is claimed any more: nothing is under way.
func (k *databaseKiller) checkClaims(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), k.url)
	check(t, err)
	defer func() { check(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	rig.WaitFor(t, store.DefaultLease+5*time.Second, "the last claim to end", func() error {
		var blobs, tags int
		err := conn.QueryRow(t.Context(), `SELECT
			(SELECT COUNT(*) FROM blob_claim WHERE repository = '' AND lease_until > EXTRACT(EPOCH FROM now()) * 1000000),
			(SELECT COUNT(*) FROM tag_fence WHERE lease_job IS NOT NULL)`).Scan(&blobs, &tags)
		if err == nil && blobs+tags > 0 {
			err = fmt.Errorf("%d blobs and %d tags are claimed, and nothing is under way", blobs, tags)
		}
		return err
	})
}

// Two builds that write the same tags at one moment wait for each other's requests, and
// not for a lease.
func TestTwoBuildsThatWriteTheSameTagsTakeAboutAsLongAsTheirRequests(t *testing.T) {
	t.Parallel()
	for name, daemons := range map[string]int{"one daemon": 1, "two daemons": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache, registry := rig.StartBazelRemote(t), rig.StartProxy(t, rig.StartRegistry(t).Host)
			config := rig.DaemonConfig{CAS: cache.GRPC, Store: rig.StartPostgres(t)}
			first := rig.StartDrayaged(t, config)
			second := first
			if daemons == 2 {
				second = rig.StartDrayaged(t, config)
			}
			plan := rig.FleetPlan{Invocation: "older", Registry: registry.Host, Images: 6, Repositories: 6, Shared: 1024, Own: 1024, OwnEvery: 1}
			older := rig.NewFleet(t, cache, plan)
			plan.Invocation = "newer"
			newer := rig.NewFleet(t, cache, plan)
			const slow = 2 * time.Second
			registry.Break(slowTags(slow))

			began := time.Now()
			uploads := []*upload{startUpload(t, older, first), startUpload(t, newer, second)}
			for _, u := range uploads {
				if outcome := u.wait(); outcome.Exit != bestest.ExitOK {
					t.Fatalf("Bazel ends with %d: %v", outcome.Exit, outcome.Err)
				}
			}
			for _, f := range []*rig.Fleet{older, newer} {
				second.WaitPushed(t, f.Invocation, pushLimit)
			}
			if took := time.Since(began); took > store.DefaultLease/2 {
				t.Errorf("two builds of one tag write took %s, of %s for a request", took, slow)
			}
			for _, f := range []*rig.Fleet{older, newer} {
				for _, row := range allRows(t, second, ledger.Query{Invocation: f.Invocation}) {
					if !row.Outcome.Good() && row.Outcome != ledger.Superseded {
						t.Errorf("%s of %s: %s %s", row.Target, f.Invocation, row.Outcome, row.Error)
					}
				}
			}
			checkFleet(t, newer, registry.Host, allRows(t, second, ledger.Query{Invocation: newer.Invocation}))
		})
	}
}

// slowTags answers late when a manifest is written under a tag.
func slowTags(late time.Duration) rig.Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/app") {
			timer := time.NewTimer(late)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-r.Context().Done():
			}
		}
		next.ServeHTTP(w, r)
	}
}
