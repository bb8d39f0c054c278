// Command bench measures hauls on loopback: a real bazel-remote, a real
// distribution registry behind a proxy that counts, and three uploaders that do
// the same work, each in a process of its own: the hauler, go-containerregistry's
// remote.Write, image after image and eight images at once, and a floor that knows
// everything beforehand. The gated case goes through a whole daemon.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/drayage/drayage/internal/heap"
)

// quietFloor keeps the garbage collector out of the counting proxy, in bytes.
const quietFloor = 256 << 20

type options struct {
	bazelRemote, registry string
	images, bigImages     int
	workers, rounds       int
	dir                   string
	uploader              string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == "upload" {
		exit(upload(ctx, os.Args[2:]))
	}
	var o options
	flag.StringVar(&o.bazelRemote, "bazel-remote", ".cache/bin/bazel-remote", "the bazel-remote program")
	flag.StringVar(&o.registry, "registry", ".cache/bin/registry", "the distribution registry program")
	flag.IntVar(&o.images, "images", 1300, "number of small images")
	flag.IntVar(&o.bigImages, "big-images", 10, "number of images of 200 MiB")
	flag.IntVar(&o.workers, "workers", 16, "hauls at once; the default is the daemon's")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds over all uploaders; ratios are the median of the rounds'")
	flag.StringVar(&o.dir, "dir", memory(), "where the servers keep their data; in memory by default, so that no disk is measured")
	flag.StringVar(&o.uploader, "only", "", "run one uploader alone: floor, haul, ggcr, ggcr-8, or gated, which is the daemon with tags that wait")
	flag.Parse()
	// What counts the requests is to leave the machine to whoever makes them.
	defer heap.Floor(quietFloor)()
	exit(run(ctx, o))
}

// memory is a folder in memory where the system has one.
func memory() string {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err == nil && info.IsDir() {
		return shm
	}
	return os.TempDir()
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, o options) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	if o.dir, err = os.MkdirTemp(o.dir, "bench-haul-"); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(o.dir)

	cache, err := startBazelRemote(ctx, o)
	if err != nil {
		return err
	}
	defer cache.stop()
	plan, err := makePlan(ctx, cache.address, o)
	if err != nil {
		return err
	}
	plan.CAS = "grpc://" + cache.address
	plan.Workers = o.workers

	var measured []measurement
	for round := range o.rounds {
		if o.uploader == gatedName {
			break
		}
		fmt.Printf("round %d of %d\n", round+1, o.rounds)
		// Uploaders take turns at each case: what else the machine does hits all.
		for _, group := range [][]string{{"one repository", "one repository, again"}, {"own repositories", "own repositories, again"}, {"large layers"}} {
			for _, uploader := range []string{"floor", "haul", "ggcr", "ggcr-8"} {
				if o.uploader != "" && o.uploader != uploader {
					continue
				}
				results, err := measureGroup(ctx, o, plan, uploader, group, round)
				if err != nil {
					return err
				}
				measured = append(measured, results...)
			}
		}
	}
	var gates []gated
	if o.uploader == "" || o.uploader == gatedName {
		if gates, err = measureGated(ctx, o, os.Stdout); err != nil {
			return err
		}
	}
	report(os.Stdout, plan, measured)
	reportGated(os.Stdout, gates)
	return nil
}

// measureGroup runs cases one after another against one new registry.
func measureGroup(ctx context.Context, o options, plan *plan, uploader string, cases []string, round int) ([]measurement, error) {
	registry, err := startRegistry(ctx, o)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(registry.dir)
	defer registry.stop()
	proxy, err := startProxy(registry.address, plan.shared())
	if err != nil {
		return nil, err
	}
	defer proxy.stop()
	var results []measurement
	for _, name := range cases {
		if uploader == "floor" && len(results) > 0 {
			break // the floor knows that there is nothing to do
		}
		plan.Registry, plan.Case, plan.Uploader = proxy.address, name, uploader
		file := filepath.Join(o.dir, "plan.json")
		if err := plan.write(file); err != nil {
			return nil, err
		}
		proxy.reset()
		outcome, err := runUploader(ctx, file)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", uploader, name, err)
		}
		m := measurement{uploader: uploader, name: name, round: round, outcome: outcome, traffic: proxy.reset()}
		m.print(os.Stdout)
		results = append(results, m)
	}
	return results, nil
}
