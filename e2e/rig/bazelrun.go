package rig

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/google/uuid"
)

// BazelRun is a Bazel command that is under way.
type BazelRun struct {
	// Invocation is the id of the invocation that the build events name.
	Invocation string

	workspace *Workspace
	cmd       *exec.Cmd
	stderr    *strings.Builder
}

// StartBazel starts a Bazel command that takes an invocation id. Whoever starts it ends
// it.
func (w *Workspace) StartBazel(t T, command string, args ...string) *BazelRun {
	t.Helper()
	run := &BazelRun{Invocation: uuid.NewString(), workspace: w, stderr: &strings.Builder{}}
	args = slices.Concat([]string{command, "--invocation_id=" + run.Invocation, "--color=no", "--curses=no", "--noshow_progress"}, args)
	run.cmd = w.command(context.WithoutCancel(t.Context()), t, args...)
	run.cmd.Stderr = run.stderr
	if err := run.cmd.Start(); err != nil {
		t.Fatalf("start bazel %s: %v", command, err)
	}
	t.Cleanup(func() { _ = run.cmd.Process.Kill() })
	return run
}

// Interrupt is Ctrl-C. It returns when Bazel has ended.
func (r *BazelRun) Interrupt(t T) BazelResult {
	t.Helper()
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatalf("interrupt Bazel: %v", err)
	}
	return r.wait(t)
}

// Kill ends Bazel and its server with kill -9, and returns when Bazel has ended.
func (r *BazelRun) Kill(t T) BazelResult {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.workspace.outputBase, "server", "server.pid.txt"))
	if err != nil {
		t.Fatalf("kill Bazel: %v", err)
	}
	server, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatalf("kill Bazel: read the server's pid: %v", err)
	}
	for _, pid := range []int{server, r.cmd.Process.Pid} {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatalf("kill Bazel: %v", err)
		}
	}
	return r.wait(t)
}

func (r *BazelRun) wait(t T) BazelResult {
	t.Helper()
	err := r.cmd.Wait()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatalf("wait for Bazel: %v", err)
	}
	return BazelResult{ExitCode: r.cmd.ProcessState.ExitCode(), Stderr: r.stderr.String(), Invocation: r.Invocation}
}
