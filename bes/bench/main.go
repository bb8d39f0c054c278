// Command bench measures what the relay costs, side by side with other ways to put
// something between Bazel and its BES backend, each in its own process:
//
//	direct    nothing between: what the rest is compared with
//	relay     drayage's relay to a required backend, looking for push specs
//	relay-be  the same to a best-effort backend
//	decode    a proxy that decodes every request and encodes it again
//	raw       a proxy that copies messages and looks at nothing
//	nginx     nginx's grpc_pass, where its program is given by --nginx
//
// It prints a table for each load, ratios, and one line for each goal.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/drayage/drayage/internal/heap"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == childFlag {
		if err := runChild(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	options := options{}
	flag.StringVar(&options.nginx, "nginx", "", "nginx `program` to measure, too")
	flag.DurationVar(&options.duration, "duration", 2*time.Second, "how long to load each proxy in a round")
	flag.IntVar(&options.rounds, "rounds", 5, "rounds over all proxies, of which the medians count")
	flag.IntVar(&options.rate, "rate", 10_000, "events per second of the paced loads")
	flag.IntVar(&options.idle, "idle", 200, "idle streams for the memory of one")
	flag.IntVar(&options.long, "long", 200_000, "events of the one long stream")
	flag.Parse()
	defer heap.Floor(quietFloor)()
	met, err := run(context.Background(), options)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if !met {
		os.Exit(1)
	}
}

// quietFloor keeps the garbage collector out of what measures, in bytes; window keeps
// gRPC's pings out of it: what is measured is to have the machine.
const (
	quietFloor = 256 << 20
	window     = 1 << 20
)

type options struct {
	nginx        string
	duration     time.Duration
	rounds, rate int
	idle, long   int
}

// load is one way to send events.
type load struct {
	name    string
	streams int
	rate    int // events per second, 0 for as fast as it goes
}

func run(ctx context.Context, o options) (met bool, err error) {
	backend, err := startChild("backend", "")
	if err != nil {
		return false, err
	}
	defer backend.stop()
	targets := []*target{{name: "direct", address: backend.address}}
	for _, name := range []string{"relay", "relay-be", "decode", "raw"} {
		p, err := startChild(name, backend.address)
		if err != nil {
			return false, err
		}
		defer p.stop()
		targets = append(targets, &target{name: name, address: p.address, process: p})
	}
	if o.nginx != "" {
		p, err := startNginx(o.nginx, backend.address)
		if err != nil {
			return false, err
		}
		defer p.stop()
		targets = append(targets, &target{name: "nginx", address: p.address, process: p})
	}
	loads := []load{
		{"1 stream, saturated", 1, 0},
		{"100 streams, saturated", 100, 0},
		{fmt.Sprintf("1 stream, %d events/s", o.rate), 1, o.rate},
		{fmt.Sprintf("100 streams, %d events/s", o.rate), 100, o.rate},
	}
	results := make(map[string]map[string]result)
	for _, l := range loads {
		results[l.name], err = measure(ctx, targets, l, o)
		if err != nil {
			return false, fmt.Errorf("%s: %w", l.name, err)
		}
		printLoad(l, targets, results[l.name])
	}
	var g goals
	for _, l := range loads {
		of := results[l.name]
		for _, relay := range []string{"relay", "relay-be"} {
			// A load that leaves the machine idle between events costs everybody the
			// same system calls and little else: there is nothing to halve.
			if l.rate == 0 {
				g.check(relay+" CPU per event / decode, "+l.name, of[relay].cpu/of["decode"].cpu, "<=", 0.5)
			}
			g.check(relay+" CPU per event / raw, "+l.name, of[relay].cpu/of["raw"].cpu, "<=", 1.2)
			if l.rate > 0 {
				added := of[relay].p99 - of["direct"].p99
				g.check(relay+" p99 added (ms), "+l.name, float64(added)/float64(time.Millisecond), "<", 1)
			}
		}
	}
	for _, t := range targets {
		if t.name != "relay" && t.name != "relay-be" {
			continue
		}
		perStream, err := idleMemory(ctx, t, o.idle)
		if err != nil {
			return false, fmt.Errorf("memory of idle streams: %w", err)
		}
		g.check(t.name+" memory per idle stream (KiB)", perStream/1024, "<", 100)
		growth, err := longStream(ctx, t, o.long)
		if err != nil {
			return false, fmt.Errorf("long stream: %w", err)
		}
		g.check(fmt.Sprintf("%s growth over %d events (KiB)", t.name, o.long), growth/1024, "<", 1024)
	}
	g.print()
	return g.met(), nil
}
