package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/drayage/drayage/bes/bestest"
	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/pushspec"
)

// gatedName is what the gated case is called on the command line.
const gatedName = "gated"

const (
	// gatedRepositories is how many repositories the images of a gated build go to.
	gatedRepositories = 13
	// gatedConnections is how many manifests the floor writes at once, and gatedLimit is
	// how long a build may take.
	gatedConnections = 16
	gatedLimit       = 5 * time.Minute
)

// gated is what one round shows of builds whose tags wait for their end, in a whole daemon.
type gated struct {
	// more is by how many requests an image costs more than without the gate: under new
	// tags, and under tags that move.
	more [2]float64
	// tags is how long the tags that move took from the end of the build on, floor how long
	// it takes to write as many manifests.
	tags, floor time.Duration
}

// measureGated sends builds to a daemon, as Bazel does, under a gate and without.
func measureGated(ctx context.Context, o options, w io.Writer) (runs []gated, err error) {
	err = rig.Run(ctx, "bench", os.Stderr, func(t rig.T) {
		for round := range o.rounds {
			runs = append(runs, gatedRound(t, o, w, round))
		}
	})
	return runs, err
}

// gatedRound counts requests through a proxy, and then measures the time of tags that
// move without one.
func gatedRound(t rig.T, o options, w io.Writer, round int) (run gated) {
	cache := rig.StartBazelRemote(t)
	d := rig.StartDrayaged(t, rig.DaemonConfig{CAS: cache.GRPC, More: map[string]any{"workers": o.workers, "log": map[string]any{"level": "warn"}}})
	requests := map[pushspec.Gate][2]float64{}
	for _, gate := range []pushspec.Gate{pushspec.GatePushed, pushspec.GateGreen} {
		registry := rig.StartRegistry(t)
		front, err := startProxy(registry.Host, nil)
		if err != nil {
			t.Fatalf("start a proxy: %v", err)
		}
		g := gatedBench{cache: cache, daemon: d, registry: front.address, images: o.images}
		var each [2]float64
		for i := range each {
			time.Sleep(gatedPause)
			front.reset()
			g.build(t, gate, fmt.Sprintf("%s-%d", gate, i))
			seen := front.reset()
			each[i] = float64(seen.total()) / float64(o.images)
			fmt.Fprintf(w, "gated, round %d: gate %s, %s: %d requests (%s)\n", round+1, gate, gatedTags[i], seen.total(), seen.kinds())
		}
		requests[gate] = each
		front.stop()
		registry.Stop(t)
	}
	for i := range run.more {
		const digits = 1e3 // as they are printed
		run.more[i] = math.Round((requests[pushspec.GateGreen][i]-requests[pushspec.GatePushed][i])*digits) / digits
	}
	registry := rig.StartRegistry(t)
	g := gatedBench{cache: cache, daemon: d, registry: registry.Host, images: o.images}
	g.build(t, pushspec.GateGreen, "before")
	var f *rig.Fleet
	run.tags, f = g.build(t, pushspec.GateGreen, "after")
	run.floor = g.floor(t, f)
	fmt.Fprintf(w, "gated, round %d: tags that move %.2f s after the end of the build; %d manifests alone %.2f s\n", round+1, run.tags.Seconds(), o.images, run.floor.Seconds())
	registry.Stop(t)
	d.Stop(t)
	cache.Stop(t)
	return run
}

// gatedPause is between two builds: what a daemon knows of a repository's tags for a few
// seconds is of no use to the next build.
const gatedPause = 6 * time.Second

// gatedTags are the kinds of tags that the gated case has.
var gatedTags = [2]string{"new-tags", "moved-tags"}

// gatedBench is a daemon and a registry.
type gatedBench struct {
	cache    *rig.BazelRemote
	daemon   *rig.Daemon
	registry string
	images   int
}

// build sends one build, and tells how long the tags took from the end of the build on.
// The build ends when all its images are there.
func (g gatedBench) build(t rig.T, gate pushspec.Gate, invocation string) (tags time.Duration, f *rig.Fleet) {
	t.Helper()
	f = rig.NewFleet(t, g.cache, rig.FleetPlan{
		Invocation: invocation, Registry: g.registry, Images: g.images, Repositories: gatedRepositories,
		Shared: 1 << 20, Own: 4 << 10, OwnEvery: 1, Gate: string(gate),
	})
	there := ledger.Pushed
	if gate.Holds() {
		there = ledger.Staged
	}
	bazel := f.Upload(g.daemon)
	var ended time.Time
	bazel.BeforeSend = func(_ int, sequence int64) error {
		if sequence == int64(len(f.Events)) {
			g.await(t, f, there)
			ended = time.Now()
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), gatedLimit)
	defer cancel()
	if outcome := bazel.Run(ctx); outcome.Exit != bestest.ExitOK {
		t.Fatalf("Bazel ends with %d: %v", outcome.Exit, outcome.Err)
	}
	g.await(t, f, ledger.Pushed)
	return time.Since(ended), f
}

// await waits until all pushes of a build have an outcome.
func (g gatedBench) await(t rig.T, f *rig.Fleet, outcome ledger.Outcome) {
	t.Helper()
	api := g.daemon.API(t)
	rig.WaitFor(t, gatedLimit, "all images to be "+string(outcome), func() error {
		known, err := api.Invocation(t.Context(), f.Invocation)
		if err == nil && known.Outcomes[outcome] != g.images {
			err = fmt.Errorf("the outcomes are %v", known.Outcomes)
		}
		return err
	})
}

// floor writes every manifest of the build under one more tag, and nothing else.
func (g gatedBench) floor(t rig.T, f *rig.Fleet) time.Duration {
	t.Helper()
	client := &floor{http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: gatedConnections, MaxConnsPerHost: gatedConnections}}}
	began := time.Now()
	err := each(t.Context(), len(f.Images), gatedConnections, func(ctx context.Context, i int) error {
		image := f.Images[i]
		root := image.Spec.Manifests[0]
		_, err := client.do(ctx, http.MethodPut, fmt.Sprintf("http://%s/v2/%s/manifests/floor-%d", g.registry, image.Repository, i),
			string(root.MediaType), bytes.NewReader(root.Data), root.Size, http.StatusCreated)
		return err
	})
	if err != nil {
		t.Fatalf("the floor: %v", err)
	}
	return time.Since(began)
}

// reportGated prints the goals of the gated case: the medians of the rounds, and the most
// requests of all.
func reportGated(w io.Writer, runs []gated) {
	if len(runs) == 0 {
		return
	}
	median := func(figure func(gated) float64) float64 {
		var all []float64
		for _, run := range runs {
			all = append(all, figure(run))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	for i, name := range gatedTags {
		more := runs[0].more[i]
		for _, run := range runs {
			more = max(more, run.more[i])
		}
		goal(w, "gated-"+name+"-more-requests-per-image", more, 1)
	}
	goal(w, "gated-tags-seconds", median(func(g gated) float64 { return g.tags.Seconds() }), 2)
	goal(w, "gated-tags-wall-of-floor", median(func(g gated) float64 { return g.tags.Seconds() / g.floor.Seconds() }), gatedOfFloor)
}

// gatedOfFloor is how much longer than the manifests alone the tags may take: two looks at
// the database and a row of the ledger come with each.
const gatedOfFloor = 2
