//go:build unix

package subprocess_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/subprocess"
)

func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "helper")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// limit is far below the time that the programs of these tests would take.
const limit = 500 * time.Millisecond

func TestAProgramIsGivenItsInputAndIsHeard(t *testing.T) {
	out, err := subprocess.Run(t.Context(), subprocess.Command{Path: script(t, `cat; echo "$1" >&2`), Args: []string{"get"}, Input: []byte("host")})
	if err != nil || string(out.Stdout) != "host" || string(out.Stderr) != "get\n" {
		t.Errorf("got %q and %q, %v", out.Stdout, out.Stderr, err)
	}
}

func TestAProgramThatHangsIsKilledWithItsChildren(t *testing.T) {
	note := filepath.Join(t.TempDir(), "pid")
	// The child holds the pipes, and the script waits for it.
	path := script(t, "sleep 600 & echo $! > "+note+"; wait")
	_, err := subprocess.Run(t.Context(), subprocess.Command{Path: path, Limit: limit})
	if failed, ok := errors.AsType[*subprocess.Error](err); !ok || failed.Lasting() || !strings.Contains(err.Error(), "did not end within 500ms") {
		t.Errorf("got error %v", err)
	}
	wantDead(t, note)
}

func TestWhatAProgramLeavesBehindIsKilled(t *testing.T) {
	note := filepath.Join(t.TempDir(), "pid")
	path := script(t, "sleep 600 & echo $! > "+note+"; echo done")
	out, err := subprocess.Run(t.Context(), subprocess.Command{Path: path})
	if err != nil || string(out.Stdout) != "done\n" {
		t.Errorf("got %q, %v", out.Stdout, err)
	}
	wantDead(t, note)
}

// wantDead fails t if the process whose number a file holds goes on running.
func wantDead(t *testing.T, note string) {
	t.Helper()
	text, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for running(pid) {
		if ctx.Err() != nil {
			t.Fatalf("process %d is still there", pid)
		}
	}
}

// running tells whether a process is there, and is not one that nobody has waited for.
func running(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func TestAProgramEndsWithItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if _, err := subprocess.Run(ctx, subprocess.Command{Path: script(t, "sleep 600")}); !errors.Is(err, enough) {
		t.Errorf("got error %v", err)
	}
}

func TestAProgramThatPrintsWithoutEndIsKilled(t *testing.T) {
	for _, stream := range []string{"", ">&2"} {
		_, err := subprocess.Run(t.Context(), subprocess.Command{Path: script(t, "while :; do echo ssssssssssssssssssssssssssssssssssssssssssssssssss; done "+stream)})
		if err == nil || !strings.Contains(err.Error(), "printed more than 1048576 bytes") {
			t.Errorf("%s: got error %v", stream, err)
		}
	}
}

func TestOnlyAProgramThatIsNotThereFailsForGood(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"docker-credential-nobody": true, "/nowhere/helper": true, plain: true, script(t, "exit 3"): false,
	} {
		_, err := subprocess.Run(t.Context(), subprocess.Command{Path: path})
		if failed, ok := errors.AsType[*subprocess.Error](err); !ok || failed.Lasting() != want {
			t.Errorf("%s: got error %v, want one that lasts: %t", path, err, want)
		}
	}
}

func TestAnErrorHoldsNothingOfWhatWasPrinted(t *testing.T) {
	out, err := subprocess.Run(t.Context(), subprocess.Command{Path: script(t, "echo hunter2; echo hunter2 >&2; exit 1")})
	if err == nil || strings.Contains(err.Error(), "hunter2") || string(out.Stdout) != "hunter2\n" {
		t.Errorf("got %q, %v", out.Stdout, err)
	}
}
