package main

import (
	"strings"
	"testing"
	"time"
)

func TestJobsAreShownAndSteered(t *testing.T) {
	d := newTestDaemonWith(t, time.Now)
	d.enqueue(t, "first", map[string]string{"//app:push": "a", "//web:push": "b"})
	var shown strings.Builder
	for _, args := range [][]string{
		{"jobs"},
		{"jobs", "cancel", "--target", "//web:push"},
		{"jobs", "--invocation", "first"},
		{"jobs", "retry", "--all"},
		{"jobs", "requeue", "--invocation", "first"},
		{"jobs", "cancel", "--all"},
		{"jobs"},
		{"jobs", "cancel"},
	} {
		out, _ := tool(t, args...) // the error is in it
		shown.WriteString("$ drayage " + strings.Join(args, " ") + "\n" + out)
	}
	golden(t, "jobs.golden", shown.String())
	out, err := tool(t, "jobs", "-o", "json")
	if err != nil || out != "[]\n" {
		t.Errorf("no jobs as JSON are %q, %v", out, err)
	}
}
