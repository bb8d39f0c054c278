package rig

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
)

// Drayage is the path of cmd/drayage, built from the checkout.
func Drayage(t T) string { t.Helper(); return binary(t, "drayage") }

// Drayaged is the path of cmd/drayaged, built from the checkout.
func Drayaged(t T) string { t.Helper(); return binary(t, "drayaged") }

// binary builds a command into the cache folder, once in a process's life.
func binary(t T, name string) string {
	t.Helper()
	dir := filepath.Join(Root(t), ".cache", "e2e", "bin")
	if err := buildCommands(Root(t), dir); err != nil {
		t.Fatalf("build the commands: %v", err)
	}
	return filepath.Join(dir, name)
}

var buildOnce struct {
	sync.Once
	err error
}

func buildCommands(root, dir string) error {
	buildOnce.Do(func() {
		cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "./cmd/drayage", "./cmd/drayaged")
		cmd.Dir = root
		if output, err := cmd.CombinedOutput(); err != nil {
			buildOnce.err = fmt.Errorf("%w\n%s", err, output)
		}
	})
	return buildOnce.err
}
