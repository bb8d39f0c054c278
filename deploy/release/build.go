package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// build builds the tool for a platform. Nothing of the machine gets into it: no
// paths, no C library, no state of a version control.
func build(ctx context.Context, root, out, system, architecture, version string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath",
		"-ldflags=-s -w -X github.com/drayage/drayage/internal/version.release=v"+version, "-o", out, "./cmd/drayage")
	cmd.Dir = root
	cmd.Env = append(os.Environ(),
		"GOOS="+system, "GOARCH="+architecture, "GOAMD64=v1", "GOARM64=v8.0",
		"CGO_ENABLED=0", "GOFLAGS=-mod=readonly -buildvcs=false", "GOWORK=off", "GOEXPERIMENT=",
	)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build drayage for %s/%s: %w\n%s", system, architecture, err, output)
	}
	return nil
}
