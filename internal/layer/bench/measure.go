package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// measurement is one run of a program.
type measurement struct {
	took time.Duration
	// memory is the most that the program had resident, in bytes; 0 if it was not
	// measured.
	memory int64
	// blob is the size of what it wrote, in bytes.
	blob int64
}

func (m measurement) speed(bytes int64) float64 { return float64(bytes) / 1e6 / m.took.Seconds() }

func (m measurement) print(name string, bytes int64) {
	text := fmt.Sprintf("%-22s %7.1f MB/s  %6.2f s  blob %4d MiB", name, m.speed(bytes), m.took.Seconds(), m.blob>>20)
	if m.memory > 0 {
		text += fmt.Sprintf("  peak %d MiB", m.memory>>20)
	}
	fmt.Println(text)
}

// better is the quicker of two runs, with the most memory of both.
func better(a, b measurement) measurement {
	memory := max(a.memory, b.memory)
	if a.took == 0 || b.took < a.took {
		a = b
	}
	a.memory = memory
	return a
}

// measureLayer writes the tree as one layer. Both sides write to a file.
func measureLayer(ctx context.Context, tool, tree, compression string) (measurement, error) {
	dir := filepath.Dir(tree)
	list, blob := filepath.Join(dir, "list"), filepath.Join(dir, "blob")
	if err := os.WriteFile(list, []byte("put\t0644\t/app\ttree\t\t"+tree+"\n"), 0o644); err != nil {
		return measurement{}, err
	}
	cmd := exec.CommandContext(ctx, tool, "layer", "--list="+list, "--out="+blob, "--metadata="+filepath.Join(dir, "metadata"), "--compress="+compression)
	return measure(cmd, blob)
}

// measureTar writes the tree with tar and a compressor in a pipe.
func measureTar(ctx context.Context, tree, compressor string) (measurement, error) {
	blob := filepath.Join(filepath.Dir(tree), "blob")
	cmd := exec.CommandContext(ctx, "sh", "-c", `tar --sort=name -cf - -C "$1" . | `+compressor+` -c > "$2"`, "sh", tree, blob)
	m, err := measure(cmd, blob)
	m.memory = 0 // of the shell
	return m, err
}

func measure(cmd *exec.Cmd, blob string) (measurement, error) {
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return measurement{}, fmt.Errorf("run %s: %w\n%s", cmd, err, out)
	}
	m := measurement{took: time.Since(start)}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		m.memory = usage.Maxrss * 1024
	}
	info, err := os.Stat(blob)
	if err != nil {
		return m, err
	}
	m.blob = info.Size()
	return m, nil
}
