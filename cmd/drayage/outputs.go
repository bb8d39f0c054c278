package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"
)

// maxOutputs bounds a list of outputs, in bytes: that of a thousand images with a
// hundred layers each has some ten million.
const maxOutputs = 64 << 20

// outputs are the layers that a build has left on this machine. The list of them has
// paths below Bazel's execution root, its own first, and those of layers after it;
// whether a layer is there the list does not know.
func outputs(list string) ([]*localFile, error) {
	info, err := os.Stat(list)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxOutputs {
		return nil, fmt.Errorf("%s must be at most %s", list, humanize.IBytes(maxOutputs))
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return nil, err
	}
	own, paths, _ := strings.Cut(string(text), "\n")
	root, found := executionRoot(list, own)
	if !found {
		return nil, nil // a copy of the list, far from the build
	}
	var files []*localFile
	for path := range strings.Lines(paths) {
		path = strings.TrimSuffix(path, "\n")
		if !filepath.IsLocal(filepath.FromSlash(path)) {
			continue
		}
		if file, err := openLocalFile(filepath.Join(root, filepath.FromSlash(path))); err == nil {
			files = append(files, file)
		}
	}
	return files, nil
}

// executionRoot finds the folder below which a file is at the path own. Runfiles are
// links to where the build put them.
func executionRoot(file, own string) (root string, found bool) {
	if own == "" || !filepath.IsLocal(filepath.FromSlash(own)) {
		return "", false
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return "", false
	}
	below := string(filepath.Separator) + filepath.FromSlash(own)
	for range 40 { // links that lead in a circle end too
		if root, found := strings.CutSuffix(path, below); found {
			return root, true
		}
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", false
	}
	return strings.CutSuffix(path, below)
}
