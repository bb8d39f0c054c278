package sqldbtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Crash stops the server at once, without a checkpoint: what was committed without
// waiting for the disk may be lost, and all connections break.
func (c *Cluster) Crash() error {
	if c.exited == nil {
		return nil // it has never run
	}
	// SIGQUIT is PostgreSQL's immediate shutdown.
	if err := c.server.Process.Signal(syscall.SIGQUIT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	select {
	case <-c.exited:
		return nil
	case <-time.After(stopLimit):
		return errors.Join(fmt.Errorf("stop PostgreSQL: it did not end within %s", stopLimit), c.server.Process.Kill())
	}
}

// Restart starts the server again after a crash, at the same address, and waits until it
// answers.
func (c *Cluster) Restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := c.serve(ctx); err != nil {
		return fmt.Errorf("start PostgreSQL again: %w", err)
	}
	return nil
}

// Pause stops all of the server's processes where they are: connections stand, and
// nothing answers.
func (c *Cluster) Pause() error { return c.signal(syscall.SIGSTOP) }

// Resume has them go on.
func (c *Cluster) Resume() error { return c.signal(syscall.SIGCONT) }

// signal sends a signal to the server, and then to the processes that it has started.
func (c *Cluster) signal(signal syscall.Signal) error {
	server := c.server.Process.Pid
	if err := syscall.Kill(server, signal); err != nil {
		return fmt.Errorf("signal PostgreSQL: %w", err)
	}
	children, err := childrenOf(server)
	if err != nil {
		return fmt.Errorf("signal PostgreSQL: %w", err)
	}
	for _, child := range children {
		if err := syscall.Kill(child, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal PostgreSQL: %w", err)
		}
	}
	return nil
}

// childrenOf finds the processes that a process has started, in Linux's /proc.
func childrenOf(parent int) (children []int, err error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(files) == 0 {
		return nil, errors.Join(errors.New("there is no /proc"), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// The second field is a name in parentheses, which may hold anything.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(parent) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			children = append(children, pid)
		}
	}
	return children, nil
}
