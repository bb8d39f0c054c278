package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// Program loads images with `docker load` or `podman load`. It sends every layer
// each time, because such an archive cannot leave out layers that are there.
type Program struct {
	// Path is the program. Output gets what it prints.
	Path   string
	Output io.Writer
}

// stopTimeout is how long the program may take to end once it was told to.
const stopTimeout = 10 * time.Second

// Load streams the archive to the program.
func (p Program) Load(ctx context.Context, i *Image, names []string, from Sources) (Result, error) {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, p.Path, "load")
	cmd.WaitDelay = stopTimeout
	cmd.Stdout = p.Output
	cmd.Stderr = io.MultiWriter(p.Output, &limited{buffer: &said})
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return Result{}, fmt.Errorf("run %s load: %w", p.Path, err)
	}
	if err := cmd.Start(); err != nil {
		return Result{}, fmt.Errorf("run %s load: %w", p.Path, err)
	}
	sent := &counter{w: stdin}
	root, failed := writeArchive(ctx, sent, i, names, from)
	if failed != nil && sent.err == nil {
		// It must not load what it has so far.
		_ = cmd.Process.Kill() // an error means that it has ended
	}
	err = errors.Join(stdin.Close(), cmd.Wait())
	switch {
	case failed != nil && sent.err == nil:
		return Result{}, failed
	case sent.err != nil || err != nil:
		// The program's own words say more than that its input was closed.
		return Result{}, fmt.Errorf("%s load failed: %w: %s%s", p.Path, errors.Join(err, sent.err), bytes.TrimSpace(said.Bytes()), advice(i))
	}
	result := Result{Root: root}
	for _, blob := range i.Blobs {
		result.Moved.add(blob.Size)
	}
	return result, nil
}

// advice names a likely reason that the program's own message does not name.
func advice(i *Image) string {
	if len(i.Platforms) > 1 {
		return "; docker loads an image for several platforms only if it keeps images in containerd: choose one platform with --platform"
	}
	for _, blob := range i.Blobs {
		if strings.HasSuffix(string(blob.MediaType), "+zstd") {
			return "; this image has layers that are compressed with zstd, which docker can read since version 23.0: for an older docker, build them with compress = \"gzip\""
		}
	}
	return ""
}

// counter remembers that its writer failed.
type counter struct {
	w   io.Writer
	err error
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil {
		c.err = err
	}
	return n, err
}

// limited keeps the beginning of what is written.
type limited struct{ buffer *bytes.Buffer }

const saidLimit = 4 << 10

func (l *limited) Write(p []byte) (int, error) {
	l.buffer.Write(p[:min(len(p), saidLimit-l.buffer.Len())])
	return len(p), nil
}
