package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// T is what rig needs of a test. *testing.T is one, and so is what [Run] gives
// to a program.
type T interface {
	Helper()
	Name() string
	Context() context.Context
	Cleanup(f func())
	Failed() bool
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Run calls f with a T, for a program that is no test: what f started is stopped
// when f returns, fails or panics. The error is f's first failure. Logs of a
// failure go to log.
func Run(ctx context.Context, name string, log io.Writer, f func(T)) (err error) {
	r := &run{ctx: ctx, name: name, log: log}
	defer func() { err = errors.Join(r.failure, err) }()
	defer r.stop()
	defer func() {
		if caught := recover(); caught != nil && caught != any(r) {
			r.fail(fmt.Errorf("panic: %v", caught))
			panic(caught)
		}
	}()
	f(r)
	return nil
}

type run struct {
	ctx      context.Context
	name     string
	log      io.Writer
	cleanups []func()
	failure  error
}

func (r *run) Helper()                         {}
func (r *run) Name() string                    { return r.name }
func (r *run) Context() context.Context        { return r.ctx }
func (r *run) Cleanup(f func())                { r.cleanups = append(r.cleanups, f) }
func (r *run) Failed() bool                    { return r.failure != nil }
func (r *run) Logf(format string, args ...any) { fmt.Fprintf(r.log, format+"\n", args...) }

func (r *run) Errorf(format string, args ...any) { r.fail(fmt.Errorf(format, args...)) }

func (r *run) Fatalf(format string, args ...any) {
	r.fail(fmt.Errorf(format, args...))
	panic(r)
}

func (r *run) fail(err error) {
	if r.failure == nil {
		r.failure = err
		return
	}
	fmt.Fprintln(r.log, err)
}

func (r *run) stop() {
	for len(r.cleanups) > 0 {
		last := len(r.cleanups) - 1
		f := r.cleanups[last]
		r.cleanups = r.cleanups[:last]
		f()
	}
}

// TempDir makes a folder that is removed when t ends. Unlike a test's own, it
// may hold folders without the write permission: Bazel makes such.
func TempDir(t T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "drayage-")
	if err != nil {
		t.Fatalf("make temporary folder: %v", err)
	}
	t.Cleanup(func() {
		if err := removeAll(dir); err != nil {
			t.Errorf("remove temporary folder: %v", err)
		}
	})
	return dir
}
