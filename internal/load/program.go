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

// Program loads images with `docker load` or `podman load`. It takes every layer
// each time: such an archive has no way to leave out those that are there.
type Program struct {
	// Path is the program, and Output where it may print to.
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
		// It must not take what it has for an image.
		_ = cmd.Process.Kill() // an error means that it has ended
	}
	err = errors.Join(stdin.Close(), cmd.Wait())
	switch {
	case failed != nil && sent.err == nil:
		return Result{}, failed
	case sent.err != nil || err != nil:
		// The program's own words say more than that its input was closed.
		return Result{}, fmt.Errorf("%s load refused the image: %w: %s%s", p.Path, errors.Join(err, sent.err), bytes.TrimSpace(said.Bytes()), advice(i))
	}
	result := Result{Root: root}
	for _, blob := range i.Blobs {
		result.Moved.add(blob.Size)
	}
	return result, nil
}

// advice says what the reason may be, where the program's words do not.
func advice(i *Image) string {
	if len(i.Platforms) > 1 {
		return "; docker takes images of several platforms only if it keeps its images in containerd: choose one platform with --platform"
	}
	for _, blob := range i.Blobs {
		if strings.HasSuffix(string(blob.MediaType), "+zstd") {
			return "; layers of this image are compressed with zstd, which docker reads from version 23.0 on: for an older docker, build them with compress = \"gzip\""
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
