package dispatch_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

func TestTagsMoveWhenTheBuildIsGreenAndNotBefore(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		for exitCode, moves := range map[string]bool{"SUCCESS": true, "TESTS_FAILED": false} {
			y := newYard(t, driver)
			y.run(t)
			old, oldDigest := y.job(t, "old", "app", pushspec.GatePushed, "latest")
			y.build(t, "old", time.Now().Add(-time.Minute), old)
			y.end(t, "old", "SUCCESS")
			job, digest := y.job(t, "new", "app", pushspec.GateGreen, "latest", "v1")
			y.build(t, "new", time.Now(), job)
			if y.pointsTo("app", digest) == "" || y.pointsTo("app", "latest") != oldDigest || y.pointsTo("app", "v1") != "" {
				t.Fatalf("latest points to %q and v1 to %q while the build goes on", y.pointsTo("app", "latest"), y.pointsTo("app", "v1"))
			}
			y.end(t, "new", exitCode)
			y.wait(t, "new")
			want, outcome := digest, ledger.Pushed
			if !moves {
				want, outcome = oldDigest, ledger.Withheld
			}
			if y.pointsTo("app", "latest") != want || len(y.rows(t, "new", outcome)) != 1 {
				t.Errorf("%s: latest points to %q, want %q", exitCode, y.pointsTo("app", "latest"), want)
			}
			if row := y.rows(t, "new", outcome)[0]; moves && (len(row.Tags) != 2 || row.Tags[0] != (ledger.Tag{Name: "latest", Previous: oldDigest})) ||
				!moves && row.Error != "the build ended with TESTS_FAILED" {
				t.Errorf("the row is %+v", row)
			}
		}
	})
}

// refusing refuses what a test says, as long as it says so.
type refusing struct {
	on     atomic.Bool
	counts atomic.Int64
}

func (f *refusing) rules(refuse func(r *http.Request) bool) registrytest.Rules {
	f.on.Store(true)
	return registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if f.on.Load() && refuse(r) {
			f.counts.Add(1)
			return &registrytest.Fault{Status: http.StatusForbidden, Code: "DENIED"}
		}
		return nil
	}}
}

func TestOfFiftyImagesNoTagMovesUntilAllAreThere(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		const images = 50
		y := newYard(t, driver)
		var refuse refusing
		y.fake.SetRules(refuse.rules(func(r *http.Request) bool {
			return strings.HasPrefix(r.URL.Path, "/v2/app-7/") && r.Method != http.MethodHead
		}))
		var jobs []store.Job
		for i := range images {
			job, _ := y.job(t, "build", fmt.Sprintf("app-%d", i), pushspec.GateGreen, "latest")
			jobs = append(jobs, job)
		}
		y.run(t)
		y.build(t, "build", time.Now(), jobs...)
		y.end(t, "build", "SUCCESS")
		y.wait(t, "build")
		release, _, err := y.store.Release(t.Context(), "build")
		if err != nil || release.State != store.ReleaseWaiting || !release.Blocked || !strings.Contains(release.Reason, "//app-7:push") {
			t.Fatalf("the release is %+v, error %v", release, err)
		}
		if n := y.moved(images); n != 0 {
			t.Fatalf("%d tags have moved", n)
		}
		refuse.on.Store(false)
		if begun, _, err := y.store.Requeue(t.Context(), store.Selection{Invocation: "build"}); err != nil || begun != 1 {
			t.Fatalf("%d pushes are begun again, error %v", begun, err)
		}
		y.wait(t, "build")
		if n := y.moved(images); n != images {
			t.Errorf("%d tags have moved, want all %d", n, images)
		}
	})
}

func (y *yard) moved(images int) int {
	n := 0
	for i := range images {
		if y.pointsTo(fmt.Sprintf("app-%d", i), "latest") != "" {
			n++
		}
	}
	return n
}

func TestATagThatIsRefusedMovesWhenItIsRequeued(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		y := newYard(t, driver)
		y.run(t)
		old, oldDigest := y.job(t, "old", "app", pushspec.GatePushed, "a", "b", "c")
		y.build(t, "old", time.Now().Add(-time.Minute), old)
		var refuse refusing
		y.fake.SetRules(refuse.rules(func(r *http.Request) bool { return r.Method == http.MethodPut && path.Base(r.URL.Path) == "b" }))
		job, digest := y.job(t, "new", "app", pushspec.GateGreen, "a", "b", "c")
		y.build(t, "new", time.Now(), job)
		y.end(t, "new", "SUCCESS")
		y.wait(t, "new")
		rows := y.rows(t, "new", ledger.Denied)
		if len(rows) != 1 || len(rows[0].Tags) != 2 || rows[0].Tags[1] != (ledger.Tag{Name: "c", Previous: oldDigest}) || len(rows[0].HeldTags) != 1 || rows[0].HeldTags[0] != "b" {
			t.Fatalf("the rows are %+v", rows)
		}
		refuse.on.Store(false)
		if _, _, err := y.store.Requeue(t.Context(), store.Selection{Invocation: "new"}); err != nil {
			t.Fatal(err)
		}
		y.wait(t, "new")
		rows = y.rows(t, "new", ledger.Pushed)
		if len(rows) != 1 || len(rows[0].Tags) != 3 {
			t.Fatalf("the rows are %+v", rows)
		}
		for _, tag := range rows[0].Tags {
			if y.pointsTo("app", tag.Name) != digest || tag.Previous != oldDigest {
				t.Errorf("tag %+v points to %s", tag, y.pointsTo("app", tag.Name))
			}
		}
		y.rollBack(t, "new")
		for _, tag := range []string{"a", "b", "c"} {
			if y.pointsTo("app", tag) != oldDigest {
				t.Errorf("tag %s points to %s after the rollback", tag, y.pointsTo("app", tag))
			}
		}
	})
}

func TestTheTagsThatWereWrittenBeforeARefusalCanBeRolledBack(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		y := newYard(t, driver)
		y.run(t)
		old, oldDigest := y.job(t, "old", "app", pushspec.GatePushed, "a", "b")
		y.build(t, "old", time.Now().Add(-time.Minute), old)
		var refuse refusing
		y.fake.SetRules(refuse.rules(func(r *http.Request) bool { return r.Method == http.MethodPut && path.Base(r.URL.Path) == "b" }))
		job, digest := y.job(t, "new", "app", pushspec.GateGreen, "a", "b")
		other, _ := y.job(t, "new", "other", pushspec.GateGreen, "latest")
		y.build(t, "new", time.Now(), job, other)
		y.end(t, "new", "SUCCESS")
		y.wait(t, "new")
		if y.pointsTo("app", "a") != digest || y.pointsTo("app", "b") != oldDigest {
			t.Fatalf("a points to %s and b to %s", y.pointsTo("app", "a"), y.pointsTo("app", "b"))
		}
		y.rollBack(t, "new")
		if y.pointsTo("app", "a") != oldDigest || y.pointsTo("app", "b") != oldDigest {
			t.Errorf("after the rollback a points to %s and b to %s", y.pointsTo("app", "a"), y.pointsTo("app", "b"))
		}
		rows := y.rows(t, "new", ledger.RolledBack)
		if len(rows) != 2 {
			t.Fatalf("%d rows are rolled back", len(rows))
		}
		for _, row := range rows {
			// The fake removes no tags, and latest was new.
			if row.Repository == "other" && (!strings.Contains(row.Error, "tag latest was left alone: it was new") || len(row.Tags) > 0) || row.By != "token:boss" {
				t.Errorf("the row is %+v", row)
			}
		}
	})
}

func (y *yard) rollBack(t *testing.T, invocation string) {
	t.Helper()
	if _, err := y.store.Rollback(t.Context(), store.Decision{Invocation: invocation, By: "token:boss"}); err != nil {
		t.Fatal(err)
	}
	y.wait(t, invocation)
}

// The daemon is stopped in the middle of a tag, again and again, until all have moved.
// What each pointed to before is in its row all the same, and all of them go back.
func TestTaggingThatIsCutOffGoesOnAndCanBeRolledBack(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		const images = 5
		tags := []string{"a", "b", "c", "d"}
		y := newYard(t, driver)
		stop := y.run(t)
		var old, jobs []store.Job
		before, after := map[string]string{}, map[string]string{}
		for i := range images {
			repository := fmt.Sprintf("app-%d", i)
			job, digest := y.job(t, "old", repository, pushspec.GatePushed, tags...)
			old, before[repository] = append(old, job), digest
			job, digest = y.job(t, "new", repository, pushspec.GateGreen, tags...)
			jobs, after[repository] = append(jobs, job), digest
		}
		y.build(t, "old", time.Now().Add(-time.Minute), old...)
		y.build(t, "new", time.Now(), jobs...)
		stop()
		y.end(t, "new", "SUCCESS")
		for cut := 1; ; cut++ {
			// The third tag to be written is neither taken nor refused.
			hangs := make(chan struct{}, images*len(tags))
			var written atomic.Int64
			y.fake.SetRules(registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
				if r.Method == http.MethodPut && len(path.Base(r.URL.Path)) == 1 && written.Add(1) >= 3 {
					_, _ = io.Copy(io.Discard, r.Body) // or the server does not hear that the client has left
					hangs <- struct{}{}
					<-r.Context().Done()
					return &registrytest.Fault{}
				}
				return nil
			}})
			stop := y.run(t)
			ended := make(chan error, 1)
			waiting, cancel := context.WithTimeout(t.Context(), time.Minute)
			go func() { ended <- y.store.Wait(waiting, "new") }()
			over := false
			select {
			case <-hangs:
			case err := <-ended:
				if err != nil {
					t.Fatal(err)
				}
				over = true
			}
			stop()
			cancel()
			if over {
				if cut < 3 {
					t.Errorf("it was cut off %d times only", cut-1)
				}
				break
			}
		}
		y.fake.SetRules(registrytest.Rules{})
		rows := y.rows(t, "new", ledger.Pushed)
		if len(rows) != images {
			t.Fatalf("%d rows are pushed", len(rows))
		}
		for _, row := range rows {
			if len(row.Tags) != len(tags) {
				t.Errorf("the row is %+v", row)
			}
			for _, tag := range row.Tags {
				if tag.Previous != before[row.Repository] || y.pointsTo(row.Repository, tag.Name) != after[row.Repository] {
					t.Errorf("%s: tag %+v points to %s, before to %s", row.Repository, tag, y.pointsTo(row.Repository, tag.Name), before[row.Repository])
				}
			}
		}
		y.run(t)
		y.rollBack(t, "new")
		for repository, digest := range before {
			for _, tag := range tags {
				if y.pointsTo(repository, tag) != digest {
					t.Errorf("%s:%s points to %s after the rollback", repository, tag, y.pointsTo(repository, tag))
				}
			}
		}
	})
}

func TestAStagedImageThatTheRegistryRemovedIsBroughtAgain(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		y := newYard(t, driver)
		y.run(t)
		job, digest := y.job(t, "new", "app", pushspec.GateApproved, "latest")
		y.build(t, "new", time.Now(), job)
		y.end(t, "new", "SUCCESS")
		spec, err := pushspec.Decode(job.Spec.Inline)
		if err != nil {
			t.Fatal(err)
		}
		y.fake.Forget("app", digest)
		y.fake.Forget("app", spec.Blobs[0].Digest.String())
		if _, err := y.store.Promote(t.Context(), store.Decision{Invocation: "new", By: "token:boss"}); err != nil {
			t.Fatal(err)
		}
		y.wait(t, "new")
		rows := y.rows(t, "new", ledger.Pushed)
		if y.pointsTo("app", "latest") != digest || len(rows) != 1 || rows[0].By != "token:boss" || rows[0].Uploaded.Blobs != 1 {
			t.Errorf("latest points to %q, the rows are %+v", y.pointsTo("app", "latest"), rows)
		}
	})
}

func TestAnOlderBuildThatIsPromotedAfterANewerOneIsSuperseded(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		y := newYard(t, driver)
		y.run(t)
		older, olderDigest := y.job(t, "older", "app", pushspec.GateApproved, "latest")
		y.build(t, "older", time.Now().Add(-time.Minute), older)
		y.end(t, "older", "SUCCESS")
		newer, newerDigest := y.job(t, "newer", "app", pushspec.GateGreen, "latest")
		y.build(t, "newer", time.Now(), newer)
		y.end(t, "newer", "SUCCESS")
		y.wait(t, "newer")
		if _, err := y.store.Promote(t.Context(), store.Decision{Invocation: "older", By: "token:boss"}); err != nil {
			t.Fatal(err)
		}
		y.wait(t, "older")
		rows := y.rows(t, "older", ledger.Superseded)
		if len(rows) != 1 || !strings.Contains(rows[0].Error, "drayage fence lift "+y.fake.Host+"/app:latest") || y.pointsTo("app", "latest") != newerDigest {
			t.Fatalf("latest points to %s, the rows are %+v", y.pointsTo("app", "latest"), rows)
		}
		// The newer one rolled back: what was there before is the older one's digest, or none.
		y.fake.SetRules(registrytest.Rules{Deletes: true})
		y.rollBack(t, "newer")
		if got := y.pointsTo("app", "latest"); got != "" || y.pointsTo("app", newerDigest) == "" || y.pointsTo("app", olderDigest) == "" {
			t.Errorf("latest points to %q after the rollback", got)
		}
	})
}

// Whoever uploads for minutes keeps nobody's tags back.
func TestTagsDoNotWaitForHauls(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		y := newYard(t, driver)
		job, digest := y.job(t, "green", "app", pushspec.GateGreen, "latest")
		y.run(t)
		y.build(t, "green", time.Now(), job)
		// Every worker hauls, to a registry that does not answer.
		hauling := make(chan struct{}, 2*yardWorkers)
		silent := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
			hauling <- struct{}{}
			<-r.Context().Done()
			return &registrytest.Fault{}
		}})
		app := y.fake
		y.fake = silent
		var hauls []store.Job
		for i := range 2 * yardWorkers {
			job, _ := y.job(t, "slow", fmt.Sprintf("slow-%d", i), pushspec.GatePushed)
			hauls = append(hauls, job)
		}
		y.fake = app
		if err := y.store.Enqueue(t.Context(), hauls); err != nil {
			t.Fatal(err)
		}
		for range yardWorkers {
			<-hauling
		}
		y.end(t, "green", "SUCCESS")
		soon, cancel := context.WithTimeout(t.Context(), 15*time.Second) // before the registry is given up
		defer cancel()
		if err := y.store.Wait(soon, "green"); err != nil {
			t.Fatal(err)
		}
		if y.pointsTo("app", "latest") != digest {
			t.Errorf("latest points to %q", y.pointsTo("app", "latest"))
		}
	})
}
