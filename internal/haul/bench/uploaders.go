package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"
)

// upload does a plan's work in this process and tells how it went.
func upload(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("upload takes a plan, not %d arguments", len(args))
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	var p plan
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	work := map[string]func(context.Context, *plan) (func(context.Context) error, error){"haul": prepareHaul, "ggcr": prepareGGCR, "ggcr-8": prepareGGCR8, "floor": prepareFloor}[p.Uploader]
	if work == nil {
		return fmt.Errorf("no uploader is called %q", p.Uploader)
	}
	run, err := work(ctx, &p)
	if err != nil {
		return err
	}
	p.Small, p.Big = nil, nil
	runtime.GC()
	start, cpu := time.Now(), cpuTime()
	if err := run(ctx); err != nil {
		return err
	}
	done := outcome{Wall: time.Since(start), CPU: cpuTime() - cpu}
	if done.RSS, err = peakRSS(); err != nil {
		return err
	}
	return json.MarshalWrite(os.Stdout, done, inNanoseconds)
}

// peakRSS is the process's VmHWM. The maximum of getrusage would be that of the
// process that forked this one, if it was larger.
func peakRSS() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("read peak memory: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, errors.New("read peak memory: the kernel does not tell it")
}

// each calls f for 0 to n-1, some at once.
func each(ctx context.Context, n, atOnce int, f func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i := range n {
		g.Go(func() error { return f(ctx, i) })
	}
	return g.Wait()
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
