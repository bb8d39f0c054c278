// Command bench compares writing image layers with tar and a compressor, on the
// same machine in the same run: one tree of large files, one of many small ones.
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// goalRatio is the speed that a layer is to be written with, as a part of that of
// the best other program; goalMemory is the most that it may take, in bytes.
const (
	goalRatio  = 0.9
	goalMemory = 256 << 20
)

// hopeless is how many times our time another program takes so that it is not
// worth measuring a second time.
const hopeless = 3

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	size := flag.Int64("size", 1<<30, "bytes of the tree of large files")
	files := flag.Int("files", 100_000, "files of the tree of small files")
	rounds := flag.Int("rounds", 3, "how often each is measured, in turns; the best counts")
	flag.Parse()
	if err := run(ctx, *size, *files, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, size int64, files, rounds int) error {
	dir, err := os.MkdirTemp("", "layer-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tool := filepath.Join(dir, "drayage")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", tool, "./cmd/drayage").CombinedOutput(); err != nil {
		return fmt.Errorf("build drayage: %w\n%s", err, out)
	}
	large, small := filepath.Join(dir, "large"), filepath.Join(dir, "small")
	for _, grow := range []func() error{
		func() error { return makeLarge(large, size) },
		func() error { return makeSmall(small, files) },
	} {
		if err := grow(); err != nil {
			return fmt.Errorf("make tree: %w", err)
		}
	}
	fmt.Printf("%s, %d CPUs, %s\n", runtime.GOARCH, runtime.NumCPU(), runtime.Version())

	met := true
	for _, tree := range []struct{ name, path string }{{"large", large}, {"small", small}} {
		bytes, err := treeSize(tree.path)
		if err != nil {
			return err
		}
		fmt.Printf("\n%s: %d MiB\n", tree.name, bytes>>20)
		for _, compression := range []string{"gzip", "zstd"} {
			ok, err := compare(ctx, tool, tree.name, tree.path, compression, bytes, rounds)
			if err != nil {
				return err
			}
			met = met && ok
		}
	}
	if !met {
		return fmt.Errorf("a goal is missed")
	}
	return nil
}

// others are the programs that a layer would be compressed with otherwise.
func others(compression string) []string {
	candidates := map[string][]string{"gzip": {"gzip", "pigz"}, "zstd": {"zstd", "zstd -T0"}}[compression]
	var present []string
	for _, c := range candidates {
		if _, err := exec.LookPath(strings.Fields(c)[0]); err == nil {
			present = append(present, c)
		}
	}
	return present
}

// compare measures one tree under one compression. The programs take turns, so
// that a machine that is slow for a while is slow for all of them.
func compare(ctx context.Context, tool, tree, path, compression string, bytes int64, rounds int) (bool, error) {
	var ours measurement
	theirs := map[string]measurement{}
	for range rounds {
		m, err := measureLayer(ctx, tool, path, compression)
		if err != nil {
			return false, err
		}
		ours = better(ours, m)
		for _, other := range others(compression) {
			if known, ok := theirs[other]; ok && known.took > hopeless*ours.took {
				continue
			}
			m, err := measureTar(ctx, path, other)
			if err != nil {
				return false, err
			}
			theirs[other] = better(theirs[other], m)
		}
	}
	ours.print("drayage layer, "+compression, bytes)
	if len(theirs) == 0 {
		fmt.Printf("nothing to compare %s with is installed\n", compression)
		return true, nil
	}
	fastest := 0.0
	for _, other := range slices.Sorted(maps.Keys(theirs)) {
		theirs[other].print("tar | "+other, bytes)
		fastest = max(fastest, theirs[other].speed(bytes))
	}
	speed := goal(fmt.Sprintf("layer_%s_%s_ratio", tree, compression), ours.speed(bytes)/fastest, ">=", goalRatio)
	memory := goal(fmt.Sprintf("layer_%s_%s_peak_mib", tree, compression), float64(ours.memory)/(1<<20), "<", goalMemory>>20)
	return speed && memory, nil
}

// goal prints how a figure stands to its goal.
func goal(name string, value float64, op string, target float64) bool {
	met := op == ">=" && value >= target || op == "<" && value < target
	word := "missed"
	if met {
		word = "met"
	}
	fmt.Printf("goal %s %.2f %s %.2f %s\n", name, value, op, target, word)
	return met
}
