// Package subprocess runs helper programs. A helper may hang, print without end, or
// leave children behind, and does no harm.
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

	// maxOutput bounds the output of a program, in bytes.
	maxOutput = 1 << 20

	// lingering is how long the pipes of a program are read after its end: a child of the
	// program may hold them open.
	lingering = time.Second
)

// Command is a program to run.
type Command struct {
	// Path is the program, or its name in PATH.
	Path string
	Args []string
	// Input is its standard input.
	Input []byte
	// Limit bounds the time of the program. Defaults to 30 seconds.
	Limit time.Duration
}

// Output is what a program printed.
type Output struct {
	Stdout, Stderr []byte
}

// Error says that a program failed. Its text contains nothing that the program printed,
// because that may be a secret.
type Error struct {
	Path string
	// Missing tells that the program could not be started, so that another try is useless.
	Missing bool
	// Exit is the exit code, or 0 if the program did not exit by itself.
	Exit int
	// Err says why.
	Err error
}

func (e *Error) Error() string { return e.Path + " " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Lasting tells whether another try would fail in the same way.
func (e *Error) Lasting() bool { return e.Missing }

var errTooMuch = fmt.Errorf("printed more than %d bytes", maxOutput)

// limitError says that a program took too long and was killed.
type limitError time.Duration

func (e limitError) Error() string {
	return fmt.Sprintf("did not end within %s, and was killed", time.Duration(e))
}

// Run runs a program to its end. When its time is over or the context ends, it kills the
// program with all its children. It returns the output even with an error.
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
		killGroup(cmd) // a child still holds the pipes
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

// bounded keeps what is written, and ends the program if that is too much. Write is its
// only method: with ReadFrom, io.Copy would bypass the bound.
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
