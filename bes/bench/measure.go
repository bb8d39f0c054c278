package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// target is something that events are sent to.
type target struct {
	name, address string
	process       *process // nil for the backend itself
}

// result is what one load of one target came to.
type result struct {
	perSecond float64
	cpu       float64 // microseconds of the proxy's CPU time for each event
	p50, p99  time.Duration
}

// measure loads the targets in turn, several times, and takes each one's medians: what
// else the machine does hits all of them.
func measure(ctx context.Context, targets []*target, l load, o options) (map[string]result, error) {
	runs := make(map[string][]result)
	for range o.rounds {
		for _, t := range targets {
			r, err := t.load(ctx, l, o.duration)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			runs[t.name] = append(runs[t.name], r)
		}
	}
	medians := make(map[string]result)
	for name, all := range runs {
		medians[name] = result{
			perSecond: median(all, func(r result) float64 { return r.perSecond }),
			cpu:       median(all, func(r result) float64 { return r.cpu }),
			p50:       time.Duration(median(all, func(r result) float64 { return float64(r.p50) })),
			p99:       time.Duration(median(all, func(r result) float64 { return float64(r.p99) })),
		}
	}
	return medians, nil
}

func median(all []result, of func(result) float64) float64 {
	values := make([]float64, len(all))
	for n, r := range all {
		values[n] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// load loads the target once.
func (t *target) load(ctx context.Context, l load, duration time.Duration) (result, error) {
	before, err := t.cpu()
	if err != nil {
		return result{}, err
	}
	started := time.Now()
	latencies, err := drive(ctx, t.address, l, duration)
	if err != nil {
		return result{}, err
	}
	elapsed := time.Since(started)
	after, err := t.cpu()
	if err != nil {
		return result{}, err
	}
	n := len(latencies)
	slices.Sort(latencies)
	return result{
		perSecond: float64(n) / elapsed.Seconds(),
		cpu:       float64((after - before).Microseconds()) / float64(n),
		p50:       latencies[n/2],
		p99:       latencies[n*99/100],
	}, nil
}

func (t *target) cpu() (time.Duration, error) {
	if t.process == nil {
		return 0, nil
	}
	return t.process.cpu()
}

func printLoad(l load, targets []*target, of map[string]result) {
	fmt.Printf("\n%s\n%-10s %10s %12s %10s %10s %10s %10s\n", l.name,
		"", "events/s", "CPU us/event", "p50 ms", "p99 ms", "CPU/decode", "CPU/raw")
	for _, t := range targets {
		r := of[t.name]
		fmt.Printf("%-10s %10.0f %12.2f %10.3f %10.3f %10.2f %10.2f\n", t.name, r.perSecond, r.cpu,
			ms(r.p50), ms(r.p99), r.cpu/of["decode"].cpu, r.cpu/of["raw"].cpu)
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
