package rig

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Drayage is the path of cmd/drayage, built from the checkout.
func Drayage(t T) string { t.Helper(); return binary(t, "drayage") }

// Drayaged is the path of cmd/drayaged, built from the checkout.
func Drayaged(t T) string { t.Helper(); return binary(t, "drayaged") }

// commands are what is built for the tests.
var commands = []string{"drayage", "drayaged"}

// binary builds the commands, once in a process's life.
func binary(t T, name string) string {
	t.Helper()
	buildOnce.Do(func() {
		buildOnce.folder, buildOnce.err = buildCommands(Root(t), filepath.Join(Root(t), ".cache", "e2e", "bin"))
	})
	if buildOnce.err != nil {
		t.Fatalf("build the commands: %v", buildOnce.err)
	}
	return filepath.Join(buildOnce.folder, name)
}

var buildOnce struct {
	sync.Once
	folder string
	err    error
}

// buildCommands builds the commands and returns a folder of dir that has them, named
// for what they are: a process that builds others from changed sources at the same
// time changes nothing in it.
func buildCommands(root, dir string) (folder string, err error) {
	unlock, err := lockFolder(dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	for _, name := range commands {
		args = append(args, "./cmd/"+name)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, output)
	}
	return keepCommands(dir)
}

// lockFolder makes a folder and waits until no other process has it locked.
func lockFolder(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// keepCommands links the commands into a folder named for their bytes, and removes
// those folders that nobody has asked for in a day.
func keepCommands(dir string) (folder string, err error) {
	sum := sha256.New()
	for _, name := range commands {
		program, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		_, _ = sum.Write(program) // never fails
	}
	folder = filepath.Join(dir, hex.EncodeToString(sum.Sum(nil))[:16])
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	for _, name := range commands {
		if err := os.Link(filepath.Join(dir, name), filepath.Join(folder, name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	now := time.Now()
	if err := os.Chtimes(folder, now, now); err != nil {
		return "", err
	}
	return folder, removeUnused(dir, now.Add(-24*time.Hour))
}

// removeUnused removes the folders of a folder that have not changed since a time.
func removeUnused(dir string, since time.Time) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if !entry.IsDir() || !info.ModTime().Before(since) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}
