// Command generate writes the reference of the rules: see package rulesdoc.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/e2e/rulesdoc"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := rig.Run(ctx, "generate", os.Stderr, generate); err != nil {
		fmt.Fprintln(os.Stderr, "rulesdoc:", err)
		os.Exit(1)
	}
}

func generate(t rig.T) {
	files := rulesdoc.Extract(t).Files(t)
	folder := filepath.Join(rig.Root(t), rulesdoc.Folder)
	// What no file of the rules stands behind any more goes with the rest.
	if err := os.RemoveAll(folder); err != nil {
		t.Fatalf("remove the old pages: %v", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatalf("make %s: %v", rulesdoc.Folder, err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(rig.Root(t), name), []byte(text), 0o644); err != nil {
			t.Fatalf("write %s: %v", name, err)
		}
	}
}
