package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report prints what is measured, and keeps the goals for the end.
type report struct {
	lines []string
	bad   bool
}

// machine says what it was measured on, and how busy that was with other things.
func (r *report) machine() {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		load = []byte("unknown")
	}
	fmt.Printf("%d CPUs, load average at the start %s\n", runtime.NumCPU(), strings.TrimSpace(string(load)))
}

func (*report) heading(text string) { fmt.Printf("\n%s\n", text) }

func (*report) linef(what, format string, args ...any) {
	fmt.Printf("  %-44s %s\n", what, fmt.Sprintf(format, args...))
}

// below notes a goal that a time has to be below.
func (r *report) below(name string, value, target time.Duration) {
	r.goal(name, value < target, fmt.Sprintf("%.2fms < %.2fms", ms(value), ms(target)))
}

// atLeast notes a goal that a rate has to reach.
func (r *report) atLeast(name string, value, target float64) {
	r.goal(name, value >= target, fmt.Sprintf("%.0f/s >= %.0f/s", value, target))
}

func (r *report) goal(name string, met bool, comparison string) {
	verdict := "met"
	if !met {
		verdict, r.bad = "missed", true
	}
	r.lines = append(r.lines, fmt.Sprintf("goal %s %s %s", name, comparison, verdict))
}

// goals prints the goals and says whether all were met.
func (r *report) goals() bool {
	fmt.Println()
	for _, line := range r.lines {
		fmt.Println(line)
	}
	return !r.bad
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// quantile is the time that the share q of all was within.
func quantile(times []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func spread(times []time.Duration) string {
	return fmt.Sprintf("p50 %.2f ms, p99 %.2f ms", ms(quantile(times, 0.5)), ms(quantile(times, 0.99)))
}
