// Command demo is what `make demo` runs: a real Bazel build whose images land
// in a real registry, through drayaged, with what every leg of the way moved.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

// pushLimit bounds how long the pushes may take after the build.
const pushLimit = time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	s := newScreen(os.Stdout)
	if err := rig.Run(ctx, "demo", os.Stderr, func(t rig.T) { demo(t, s) }); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	s.linef("")
	s.linef("Done in %.0f s. Everything that was started has been stopped.", time.Since(began).Seconds())
}

func demo(t rig.T, s *screen) {
	s.title("Starting, each on a free port of 127.0.0.1")
	parts := startParts(t, s)

	s.title("Building, with nothing downloaded and the events sent to drayaged")
	invocation, took := build(t, s, parts)
	s.linef("%s", s.faint(fmt.Sprintf("Bazel took %.1f s.", took.Seconds())))

	s.title("Waiting for the pushes")
	began := time.Now()
	parts.daemon.WaitPushed(t, invocation, pushLimit)
	entries := parts.daemon.Ledger(t, ledger.Query{Invocation: invocation})
	s.linef("%d pushes are done, %.1f s after the build.", len(entries), time.Since(began).Seconds())
	s.linef("")
	showPushes(t, s, entries)

	s.title("What each leg moved")
	showLegs(s, parts)

	s.title("The ledger: drayage ledger")
	showLedger(t, s, parts.daemon)

	s.title("An image, pulled back from the registry")
	showImage(t, s, entries[len(entries)-1])
}

// build runs Bazel as a user of drayage does, and returns the invocation's id.
func build(t rig.T, s *screen, p parts) (string, time.Duration) {
	workspace := rig.NewWorkspace(t)
	workspace.Progress = s.follow
	args := []string{
		"//...",
		"--bes_backend=" + p.daemon.BES,
		"--bes_results_url=" + p.daemon.URL + "/invocations/",
		"--remote_cache=grpc://" + p.bazelCache.Address,
		"--remote_download_minimal",
		"--@drayage//rules/settings:registry=" + p.registry.Address,
	}
	s.command("bazel build", args)
	began := time.Now()
	result := workspace.Bazel(t, "build", args...)
	return result.Invocation, time.Since(began)
}

func showPushes(t rig.T, s *screen, entries []ledger.Entry) {
	if len(entries) == 0 {
		t.Fatalf("the build pushed nothing")
	}
	for _, entry := range entries {
		if !entry.Outcome.Good() {
			t.Fatalf("push %s to %s/%s: %s: %s", entry.Target, entry.Registry, entry.Repository, entry.Outcome, entry.Error)
		}
		for _, tag := range entry.Tags {
			s.linef("%s/%s:%s", entry.Registry, entry.Repository, tag.Name)
		}
		s.linef("  %s  %s", entry.Digest, s.faint(entry.Target))
	}
}

func showLedger(t rig.T, s *screen, daemon *rig.Daemon) {
	cmd := exec.CommandContext(t.Context(), rig.Drayage(t), "ledger", "--daemon", daemon.URL)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	table, err := cmd.Output()
	if err != nil {
		t.Fatalf("drayage ledger: %v\n%s", err, stderr.Bytes())
	}
	s.text(string(table))
}
