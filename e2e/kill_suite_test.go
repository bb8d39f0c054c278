package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/drayage/bes/bestest"
	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
)

var kills = flag.Int("kills", 4, "how often the kill suite kills the daemon, on each database, and the database of two daemons")

const (
	// fleetSize is the number of images of a large monorepo's build.
	fleetSize = 1300

	// killRound bounds how long the pushes of one round may take, all kills
	// included.
	killRound = 5 * time.Minute

	// eventPace is the time between two events, so that a stream lasts for a few
	// kills.
	eventPace = 200 * time.Microsecond
)

func TestKillsAtRandomMomentsLoseNothing(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(t *testing.T) string{
		"sqlite":   func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { t.Helper(); return rig.StartPostgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache, registry := rig.StartBazelRemote(t), rig.StartRegistry(t)
			k := &killer{
				registry: registry.Host,
				scene:    &scene{cache: cache},
				random:   rand.New(rand.NewPCG(20261123, uint64(*kills))),
				left:     *kills,
			}
			k.scene.daemon = rig.StartDrayaged(t, rig.DaemonConfig{
				CAS: cache.GRPC, Store: database(t), More: map[string]any{"log": map[string]any{"level": "info"}},
			})
			for k.left > 0 {
				k.round(t)
			}
			k.verify(t)
		})
	}
}

// killer kills a daemon while it pushes one fleet after another.
type killer struct {
	scene    *scene
	registry string
	random   *rand.Rand
	left     int
	rounds   int
	// during counts the kills by what was under way.
	during map[string]int
}

// round pushes one fleet, kills the daemon again and again meanwhile, and checks
// what became of it.
func (k *killer) round(t *testing.T) {
	t.Helper()
	k.rounds++
	f := rig.NewFleet(t, k.scene.cache, rig.FleetPlan{
		Invocation: fmt.Sprintf("round-%d", k.rounds), Registry: k.registry,
		Images: fleetSize, Repositories: 13, Shared: 64 << 10, Own: 512, OwnEvery: 4,
	})
	u := startUpload(t, f, k.scene.daemon)
	ctx, cancel := context.WithTimeout(t.Context(), killRound)
	defer cancel()
	// Some while the stream lasts, the others while its images are hauled.
	for streaming := 1 + k.random.IntN(max(k.left/2, 3)); k.left > 0 && !k.over(ctx, u); streaming-- {
		if streaming <= 0 {
			u.wait()
		}
		u.moment(ctx, k.random)
		k.note(ctx, u)
		k.scene.daemon.Kill()
		k.scene.daemon.Start(t)
		k.left--
	}
	if outcome := u.wait(); outcome.Exit != bestest.ExitOK {
		t.Fatalf("Bazel ends with %d after %d of %d acknowledgements: %v", outcome.Exit, outcome.Acknowledged, len(f.Events)+1, outcome.Err)
	}
	k.scene.daemon.WaitPushed(t, f.Invocation, killRound)
	checkFleet(t, f, k.registry, allRows(t, k.scene.daemon, ledger.Query{Invocation: f.Invocation}))
}

// over says whether the stream has ended and nothing is left to push.
func (k *killer) over(ctx context.Context, u *upload) bool {
	if !u.over() {
		return false
	}
	i, err := k.state(ctx, u)
	return err == nil && i.Finished && i.Pending == 0
}

func (k *killer) state(ctx context.Context, u *upload) (operator.Invocation, error) {
	client, err := operator.NewClient(k.scene.daemon.URL, operator.Login{})
	if err != nil {
		return operator.Invocation{}, err
	}
	return client.Invocation(ctx, u.invocation)
}

// note writes down what the kill that comes next interrupts.
func (k *killer) note(ctx context.Context, u *upload) {
	what := "hauling"
	switch i, err := k.state(ctx, u); {
	case err != nil:
		what = "starting"
	case !u.over():
		what = "streaming"
	case i.Finished && i.Pending == 0:
		what = "sealing"
	}
	if k.during == nil {
		k.during = map[string]int{}
	}
	k.during[what]++
}

// verify has the whole ledger verified, against itself and against the registry.
func (k *killer) verify(t *testing.T) {
	t.Helper()
	t.Logf("%d rounds; kills while %v", k.rounds, k.during)
	rig.WaitFor(t, 10*time.Second, "the last row to be sealed", func() error {
		report, err := k.scene.daemon.API(t).Verify(t.Context(), operator.VerifyRequest{})
		if err == nil && (report.Waiting > 0 || report.Rows != int64(k.rounds*fleetSize)) {
			err = fmt.Errorf("%d rows are in the log, %d are not, of %d images", report.Rows, report.Waiting, k.rounds*fleetSize)
		}
		return err
	})
	out, err := k.scene.drayage(t, "ledger", "verify", "--registry")
	if err != nil {
		t.Errorf("drayage ledger verify: %v\n%s", err, out)
	}
	t.Log(strings.TrimSpace(out))
}

// checkFleet looks for every image of a fleet in the ledger, once, and in the registry.
func checkFleet(t *testing.T, f *rig.Fleet, registry string, rows []ledger.Entry) {
	t.Helper()
	if len(rows) != len(f.Images) {
		t.Errorf("the ledger has %d rows of %s, of %d images", len(rows), f.Invocation, len(f.Images))
	}
	byTarget := map[string]ledger.Entry{}
	for _, row := range rows {
		if _, twice := byTarget[row.Target]; twice {
			t.Errorf("the ledger has several rows of %s", row.Target)
		}
		byTarget[row.Target] = row
	}
	for i, image := range f.Images {
		row, there := byTarget[image.Target]
		if !there {
			t.Errorf("the ledger has no row of %s", image.Target)
			continue
		}
		if !row.Outcome.Good() || row.Digest != image.Digest || row.Commit != rig.FleetRevision || row.ExitCode != "SUCCESS" {
			t.Errorf("the row of %s is %+v", image.Target, row)
		}
		tag := fmt.Sprintf("app%d-%s", i, rig.FleetRevision)
		if digest, err := served(t.Context(), registry, image.Repository, tag); err != nil || digest != image.Digest {
			t.Errorf("the registry has %s under %s:%s, want %s (%v)", digest, image.Repository, tag, image.Digest, err)
		}
	}
}

// served is the digest of what a registry serves under a tag.
func served(ctx context.Context, registry, repository, tag string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, fmt.Sprintf("http://%s/v2/%s/manifests/%s", registry, repository, tag), http.NoBody)
	if err != nil {
		return "", err
	}
	request.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return "", errors.New(response.Status)
	}
	return response.Header.Get("Docker-Content-Digest"), nil
}

// allRows are all pages of a query.
func allRows(t *testing.T, d *rig.Daemon, query ledger.Query) []ledger.Entry {
	t.Helper()
	query.Limit = ledger.MaxLimit
	var rows []ledger.Entry
	for {
		page := d.Ledger(t, query)
		rows = append(rows, page...)
		if len(page) < ledger.MaxLimit {
			return rows
		}
		query.Before = page[len(page)-1].ID
	}
}

// upload is Bazel's upload of a fleet's stream while the daemon is killed.
type upload struct {
	invocation string
	// acknowledged tells of each acknowledgement, while somebody listens.
	acknowledged chan struct{}
	ended        chan struct{}
	outcome      bestest.Outcome
}

// startUpload begins the upload, whose Bazel is quick to try again. It is over when t is.
func startUpload(t *testing.T, f *rig.Fleet, d *rig.Daemon) *upload {
	t.Helper()
	return startUploadWith(t, f, d, 300*time.Millisecond)
}

// startUploadWith is startUpload of a Bazel that waits for so long before it tries again.
func startUploadWith(t *testing.T, f *rig.Fleet, d *rig.Daemon, retryDelay time.Duration) *upload {
	t.Helper()
	u := &upload{invocation: f.Invocation, acknowledged: make(chan struct{}), ended: make(chan struct{})}
	bazel := f.Upload(d)
	bazel.RetryDelay = retryDelay
	pace := time.NewTicker(eventPace)
	bazel.BeforeSend = func(int, int64) error {
		<-pace.C
		return nil
	}
	bazel.AfterAcknowledgement = func(int, int64) error {
		select {
		case u.acknowledged <- struct{}{}:
		default: // nobody listens
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), killRound)
	var running sync.WaitGroup
	running.Go(func() {
		u.outcome = bazel.Run(ctx)
		close(u.ended)
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
		pace.Stop()
	})
	return u
}

func (u *upload) over() bool {
	select {
	case <-u.ended:
		return true
	default:
		return false
	}
}

func (u *upload) wait() bestest.Outcome {
	<-u.ended
	return u.outcome
}

// moment waits for a random moment: a while, or, as long as the stream lasts,
// the moment after a random acknowledgement.
func (u *upload) moment(ctx context.Context, random *rand.Rand) {
	const soonest, latest = 100 * time.Millisecond, 2 * time.Second
	timer := time.NewTimer(soonest + time.Duration(random.Int64N(int64(latest-soonest))))
	defer timer.Stop()
	acknowledgements := 1 + random.IntN(3*fleetSize)
	if random.IntN(2) == 0 {
		acknowledgements = -1
	}
	for {
		select {
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		case <-u.acknowledged:
			if acknowledgements--; acknowledgements == 0 {
				return
			}
		}
	}
}
