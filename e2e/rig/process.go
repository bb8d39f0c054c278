package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Bounds of every part's life.
const (
	readyTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
	pollInterval = 10 * time.Millisecond
)

// Process is a server that rig started.
type Process struct {
	name   string
	output string
	cmd    *exec.Cmd
	exited chan struct{}
	state  *os.ProcessState
}

// start starts a program that is killed, if it still runs, when t ends. Its
// output goes to a file in dir.
func start(t T, dir, name string, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{name: name, output: filepath.Join(dir, name+".log"), cmd: cmd, exited: make(chan struct{})}
	log, err := os.OpenFile(p.output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = cmd.Wait() // the state says it all
		p.state = cmd.ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("--- output of %s:\n%s", name, tail(p.output, 200))
		}
	})
	return p
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output is what the process has printed.
func (p *Process) Output() string {
	text, _ := os.ReadFile(p.output)
	return string(text)
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Kill ends the process at once, as `kill -9` does, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // an error means that it has ended
	<-p.exited
}

// Stop asks the process to end (SIGTERM), waits, and returns its exit code: -1
// where a signal ended it.
func (p *Process) Stop(t T) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("stop %s: %v", p.name, err)
	}
	select {
	case <-p.exited:
	case <-time.After(stopTimeout):
		p.Kill()
		t.Fatalf("stop %s: still running %s after SIGTERM", p.name, stopTimeout)
	}
	return p.state.ExitCode()
}

// ready waits until probe succeeds or the process ends.
func (p *Process) ready(t T, probe func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readyTimeout)
	defer cancel()
	err := poll(ctx, func() error {
		select {
		case <-p.exited:
			return final{fmt.Errorf("it ended: %v", p.state)}
		default:
			return probe(ctx)
		}
	})
	if err != nil {
		t.Fatalf("start %s: %v\n%s", p.name, err, tail(p.output, 50))
	}
}

// final is an error that polling does not outlive.
type final struct{ error }

// poll calls f until it returns nil, a final error, or ctx ends.
func poll(ctx context.Context, f func() error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		if last, ok := errors.AsType[final](err); ok {
			return last.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w, last: %w", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

// WaitFor calls f until it returns nil; an error after the limit fails t.
func WaitFor(t T, limit time.Duration, what string, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := poll(ctx, f); err != nil {
		t.Fatalf("wait for %s: %v", what, err)
	}
}

// listening probes a TCP address.
func listening(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		var dialer net.Dialer
		connection, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return connection.Close()
	}
}

// answering probes a URL that answers 200 when its server is ready.
func answering(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return final{err}
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}
