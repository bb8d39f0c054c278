package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// event is one line of `go test -json`: see `go doc test2json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	// Elapsed is in seconds. A test that runs beside others is not charged for the
	// time in which it waits for its turn.
	Elapsed float64
}

// report collects what a run of `go test` says.
type report struct {
	out     io.Writer
	verbose bool

	output map[string][]string // by package and test, until the test has passed or been shown
	tests  []timed
	// skipped are the tests that skipped themselves, by their reasons, and parts counts
	// the parts of tests that did.
	skipped map[string][]string
	parts   map[string]int
	// longest is the longest that a part of a test took, by the test's name.
	longest map[string]time.Duration
}

func newReport(out io.Writer, verbose bool) *report {
	return &report{out: out, verbose: verbose, output: map[string][]string{}, skipped: map[string][]string{}, parts: map[string]int{}, longest: map[string]time.Duration{}}
}

type timed struct {
	name string
	took time.Duration
}

// line reads one line of the input. What is no event is a message of go's own.
func (r *report) line(text []byte) {
	var e event
	if err := json.Unmarshal(text, &e); err != nil || e.Action == "" {
		_, _ = r.out.Write(text)
		return
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		switch {
		case r.verbose, e.Test == "" && e.Output != "PASS\n":
			_, _ = io.WriteString(r.out, e.Output)
		case e.Test != "":
			r.output[key] = append(r.output[key], e.Output)
		}
	case "pass":
		delete(r.output, key)
		r.ended(e)
	case "skip":
		r.skip(key, e)
	case "fail":
		r.show(key)
		r.ended(e)
	}
}

// skip notes a test that has skipped itself, with its reason. A package without tests
// is skipped too, which says nothing.
func (r *report) skip(key string, e event) {
	reason := ""
	for _, output := range r.output[key] {
		if match := skipReason.FindStringSubmatch(output); match != nil {
			reason = match[1]
		}
	}
	delete(r.output, key)
	switch {
	case strings.Contains(e.Test, "/"):
		r.parts[reason]++
	case e.Test != "":
		r.skipped[reason] = append(r.skipped[reason], path.Base(e.Package)+"."+e.Test)
	}
}

// skipReason is how `go test` prints what [testing.T.Skip] is given.
var skipReason = regexp.MustCompile(`^\s+\S+\.go:\d+: (.*)\n$`)

// show prints what a test has printed.
func (r *report) show(key string) {
	for _, output := range r.output[key] {
		if !progress(output) {
			_, _ = io.WriteString(r.out, output)
		}
	}
	delete(r.output, key)
}

// end prints what tests that never ended have printed: a panic is in one of them.
func (r *report) end() {
	for _, key := range slices.Sorted(maps.Keys(r.output)) {
		r.show(key)
	}
}

// progress says whether a line tells only that a test runs.
func progress(output string) bool {
	return slices.ContainsFunc([]string{"=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME "}, func(prefix string) bool {
		return strings.HasPrefix(output, prefix)
	})
}

func (r *report) ended(e event) {
	if e.Test == "" {
		return
	}
	took := time.Duration(e.Elapsed * float64(time.Second))
	top, _, part := strings.Cut(e.Test, "/")
	name := path.Base(e.Package) + "." + top
	// A test is not charged for its parts that run side by side.
	took = max(took, r.longest[name])
	if r.longest[name] = took; !part {
		r.tests = append(r.tests, timed{name, took})
	}
}

// table lists what was skipped, and the tests that took at least a time, the longest
// first.
func (r *report) table(from time.Duration) {
	for _, reason := range slices.Sorted(maps.Keys(r.skipped)) {
		fmt.Fprintf(r.out, "\nskipped (%s):\n  %s\n", reason, strings.Join(slices.Sorted(slices.Values(r.skipped[reason])), "\n  "))
	}
	for _, reason := range slices.Sorted(maps.Keys(r.parts)) {
		fmt.Fprintf(r.out, "\nskipped (%s): parts of tests: %d\n", reason, r.parts[reason])
	}
	slices.SortStableFunc(r.tests, func(a, b timed) int { return cmp.Compare(b.took, a.took) })
	var listed, sum time.Duration
	n := 0
	for _, t := range r.tests {
		sum += t.took
		if t.took < from {
			continue
		}
		if n++; n == 1 {
			fmt.Fprintf(r.out, "\n seconds  test\n")
		}
		listed += t.took
		fmt.Fprintf(r.out, "%8.1f  %s\n", t.took.Seconds(), t.name)
	}
	if n > 0 {
		fmt.Fprintf(r.out, "%8.1f  in %d tests of %s or more; all %d tests together took %.1f s\n", listed.Seconds(), n, from, len(r.tests), sum.Seconds())
	}
}
