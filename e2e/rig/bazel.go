package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
)

// bazelTimeout bounds one Bazel command.
const bazelTimeout = 10 * time.Minute

// BazelResult is how a Bazel command ended.
type BazelResult struct {
	// ExitCode is Bazel's: see https://bazel.build/run/scripts#exit-codes.
	ExitCode int
	// Stdout is what it printed for programs, Stderr what it printed for people.
	Stdout, Stderr string
	// Invocation is the id of the invocation that the build events name.
	Invocation string
}

// Bazel runs a Bazel command in the workspace, and fails t unless it succeeds.
// The workspace's Bazel server is shut down when the workspace's test ends.
func (w *Workspace) Bazel(t T, command string, args ...string) BazelResult {
	t.Helper()
	result := w.TryBazel(t, command, args...)
	if result.ExitCode != 0 && w.Progress != nil {
		t.Fatalf("bazel %s: exit code %d, as shown", command, result.ExitCode)
	}
	if result.ExitCode != 0 {
		t.Fatalf("bazel %s %s: exit code %d\n%s", command, strings.Join(args, " "), result.ExitCode, result.Stderr)
	}
	return result
}

// TryBazel runs a Bazel command in the workspace, whatever comes of it.
func (w *Workspace) TryBazel(t T, command string, args ...string) BazelResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bazelTimeout)
	defer cancel()
	result := BazelResult{Invocation: uuid.NewString()}
	if takesInvocation(command) {
		args = slices.Insert(slices.Clone(args), 0, "--invocation_id="+result.Invocation, "--color=no", "--curses=no", "--noshow_progress")
		if w.noLinks {
			args = slices.Insert(args, 0, "--symlink_prefix=/")
		}
	}
	cmd := w.command(ctx, t, append([]string{command}, args...)...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if w.Progress != nil {
		cmd.Stderr = w.Progress(&stderr)
	}
	err := cmd.Run()
	result.Stdout, result.Stderr = stdout.String(), stderr.String()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil {
		result.ExitCode = exit.ExitCode()
	} else if err != nil {
		t.Fatalf("run bazel %s: %v\n%s", command, errors.Join(err, ctx.Err()), result.Stderr)
	}
	return result
}

func takesInvocation(command string) bool {
	return slices.Contains([]string{"build", "test", "run", "cquery", "aquery", "query"}, command)
}

// command is Bazel with an output base of the workspace's own, so that it shares
// no server with anybody. The server ends by itself if nobody can stop it.
func (w *Workspace) command(ctx context.Context, t T, args ...string) *exec.Cmd {
	t.Helper()
	startup := []string{
		"--nohome_rc", "--nosystem_rc", "--max_idle_secs=300",
		// Most servers live for seconds. Without the optimising compiler, which pays off
		// after minutes, they take half the CPU.
		"--host_jvm_args=-XX:TieredStopAtLevel=1",
		"--output_user_root=" + filepath.Join(Root(t), ".cache", "e2e", "bazel"),
		"--output_base=" + w.outputBase,
	}
	startup = append(startup, w.Startup...)
	cmd := exec.CommandContext(ctx, Tool(t, "bazel"), append(startup, args...)...)
	cmd.Dir = w.Dir
	cmd.Env = append(os.Environ(), w.Env...)
	// Bazel passes an interrupt on to its server and ends; killed, it would leave
	// the server building.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	return cmd
}

// shutdown ends the workspace's Bazel server and waits until it is gone. Nothing in
// its output base is wanted any more, so it is killed: asked, it takes two seconds.
func (w *Workspace) shutdown(t T) {
	text, err := os.ReadFile(filepath.Join(w.outputBase, "server", "server.pid.txt"))
	if err != nil {
		return // no server was started
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Errorf("read the Bazel server's pid: %v", err)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), stopTimeout)
	defer cancel()
	err = poll(ctx, func() error {
		// An idle server ends by itself, and its pid may be another program's by now.
		if !strings.Contains(commandLine(pid), w.outputBase) {
			return nil
		}
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may end before that
		return fmt.Errorf("its server, process %d, is still there", pid)
	})
	if err != nil {
		t.Errorf("end Bazel: %v", err)
	}
}
