package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
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

// gated is what one round shows of a build whose tags wait for its end, in a whole daemon.
type gated struct {
	// more is by how many requests an image costs more than without the gate.
	more float64
	// tags is how long the tags took from the end of the build on, floor how long it takes
	// to write as many manifests.
	tags, floor time.Duration
}

// measureGated sends builds to a daemon, as Bazel does, under a gate and without.
func measureGated(ctx context.Context, o options, w io.Writer) (runs []gated, err error) {
	err = rig.Run(ctx, "bench", os.Stderr, func(t rig.T) {
		cache := rig.StartBazelRemote(t)
		d := rig.StartDrayaged(t, rig.DaemonConfig{CAS: cache.GRPC, More: map[string]any{"workers": o.workers, "log": map[string]any{"level": "warn"}}})
		for round := range o.rounds {
			registry := rig.StartRegistry(t)
			front, err := startProxy(registry.Host, nil)
			if err != nil {
				t.Fatalf("start a proxy: %v", err)
			}
			g := gatedBench{cache: cache, daemon: d, front: front, images: o.images, round: round}
			free, _, _ := g.build(t, pushspec.GatePushed)
			kept, tags, f := g.build(t, pushspec.GateGreen)
			run := gated{more: kept - free, tags: tags, floor: g.floor(t, f)}
			front.stop()
			registry.Stop(t)
			fmt.Fprintf(w, "gated, round %d: %.3f requests an image, %.3f without a gate; tags %.2f s after the end of the build, %d manifests alone %.2f s\n",
				round+1, kept, free, run.tags.Seconds(), o.images, run.floor.Seconds())
			runs = append(runs, run)
		}
	})
	return runs, err
}

// gatedBench is one round.
type gatedBench struct {
	cache         *rig.BazelRemote
	daemon        *rig.Daemon
	front         *proxy
	images, round int
}

// build sends one build, and gives the requests for an image, and how long the tags took
// from the end of the build on. The build ends when all its images are there.
func (g gatedBench) build(t rig.T, gate pushspec.Gate) (requests float64, tags time.Duration, f *rig.Fleet) {
	t.Helper()
	f = rig.NewFleet(t, g.cache, rig.FleetPlan{
		Invocation: fmt.Sprintf("%s-%d", gate, g.round), Registry: g.front.address, Images: g.images, Repositories: gatedRepositories,
		Shared: 1 << 20, Own: 4 << 10, OwnEvery: 1, Gate: string(gate),
	})
	there := ledger.Pushed
	if gate.Holds() {
		there = ledger.Staged
	}
	g.front.reset()
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
	tags = time.Since(ended)
	return float64(g.front.reset().total()) / float64(g.images), tags, f
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
		_, err := client.do(ctx, http.MethodPut, fmt.Sprintf("http://%s/v2/%s/manifests/floor-%d", g.front.address, image.Repository, i),
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
	more := runs[0].more
	for _, run := range runs {
		more = max(more, run.more)
	}
	goal(w, "gated-more-requests-per-image", more, 1)
	goal(w, "gated-tags-seconds", median(func(g gated) float64 { return g.tags.Seconds() }), 2)
	goal(w, "gated-tags-wall-of-floor", median(func(g gated) float64 { return g.tags.Seconds() / g.floor.Seconds() }), gatedOfFloor)
}

// gatedOfFloor is how much longer than the manifests alone the tags may take: two looks at
// the database and a row of the ledger come with each.
const gatedOfFloor = 2
