// Package subprocess runs helper programs that may hang, print without end, or leave
// children behind.
package subprocess

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"time"
)

const (
	// defaultLimit is how long a program may take. Helpers ask clouds and keyrings, and
	// some of those are slow.
	defaultLimit = 30 * time.Second

	// maxOutput bounds what is kept of what a program prints, in bytes.
	maxOutput = 1 << 20

	// lingering is how long the pipes of a program that has ended, or was killed, are
	// read on: a child of it may hold them open.
	lingering = time.Second
)

// Command is a program to run.
type Command struct {
	// Path is the program, or its name in PATH.
	Path string
	Args []string
	// Input is its standard input.
	Input []byte
	// Limit bounds its time. Defaults to DefaultLimit.
	Limit time.Duration
}

// Output is what a program printed.
type Output struct {
	Stdout, Stderr []byte
}

// Error is a program that did not end well. Its text holds nothing that the program
// printed: that may be a secret.
type Error struct {
	Path string
	// Missing tells that it could not be started: another try would not either.
	Missing bool
	// Exit is its exit code, if it ended by itself; else 0.
	Exit int
	// Err says why.
	Err error
}

func (e *Error) Error() string { return e.Path + " " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Lasting tells whether another try would fail in the same way.
func (e *Error) Lasting() bool { return e.Missing }

var errTooMuch = fmt.Errorf("printed more than %d bytes", maxOutput)

// limitError is the cause of a program's end that took too long.
type limitError time.Duration

func (e limitError) Error() string {
	return fmt.Sprintf("did not end within %s, and was killed", time.Duration(e))
}

// Run runs a program to its end, or kills it with all its children once its time or
// the context is over. The output is returned with an error too.
func Run(ctx context.Context, c Command) (Output, error) {
	if c.Limit <= 0 {
		c.Limit = defaultLimit
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Limit, limitError(c.Limit))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	stdout, stderr := &bounded{over: stop}, &bounded{over: stop}
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(c.Input), stdout, stderr
	cmd.WaitDelay = lingering
	group(cmd)
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			return Output{}, &Error{Path: c.Path, Err: context.Cause(ctx)}
		}
		return Output{}, &Error{Path: c.Path, Missing: missing(err), Err: fmt.Errorf("cannot be run: %w", withoutPath(err))}
	}
	err := cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		killGroup(cmd) // there is somebody in it, who holds the pipes
	}
	out := Output{Stdout: stdout.kept, Stderr: stderr.kept}
	switch exited, isExit := errors.AsType[*exec.ExitError](err); {
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil:
		return out, nil
	case ctx.Err() != nil:
		return out, &Error{Path: c.Path, Err: context.Cause(ctx)}
	case isExit:
		return out, &Error{Path: c.Path, Exit: max(0, exited.ExitCode()), Err: fmt.Errorf("failed: %w", err)}
	default:
		return out, &Error{Path: c.Path, Err: fmt.Errorf("failed: %w", err)}
	}
}

func missing(err error) bool {
	return errors.Is(err, exec.ErrNotFound) || errors.Is(err, exec.ErrDot) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
}

// withoutPath leaves the program's name to the text around the error.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*exec.Error](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// bounded keeps what is written up to a bound, and ends the program beyond it. It has
// no more than a writer's method: io.Copy would go past it by a buffer's ReadFrom.
type bounded struct {
	kept []byte
	over context.CancelCauseFunc
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.kept)+len(p) > maxOutput {
		b.over(errTooMuch)
		return 0, errTooMuch
	}
	b.kept = append(b.kept, p...)
	return len(p), nil
}
