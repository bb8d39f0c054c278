package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// parts is what the module consists of for its users: the rules, what the tool is
// built from, and the module that the registry tests it with.
var parts = []string{
	"BUILD.bazel", "CHANGELOG.md", "MODULE.bazel", "README.md", "go.mod", "go.sum",
	"cmd/drayage", "docs", "e2e/smoke", "internal", "pushspec", "rules",
}

// writeArchive writes the module as a tar archive below the prefix. Files in
// replaced have that content instead of their own.
func writeArchive(to, root, prefix string, replaced map[string][]byte) (err error) {
	file, err := os.Create(to)
	if err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	compressed, err := gzip.NewWriterLevel(file, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressed)
	defer func() {
		if err = errors.Join(err, archive.Close(), compressed.Close(), file.Close()); err != nil {
			err = fmt.Errorf("write archive: %w", err)
		}
	}()
	for _, part := range parts {
		err := filepath.WalkDir(filepath.Join(root, filepath.FromSlash(part)), func(name string, entry fs.DirEntry, err error) error {
			// Links are Bazel's, to its outputs.
			if err != nil || !entry.Type().IsRegular() || ignored(name) {
				return err
			}
			relative, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			relative = filepath.ToSlash(relative)
			content, found := replaced[relative]
			if !found {
				if content, err = os.ReadFile(name); err != nil { //nolint:gosec // the checkout is ours
					return err
				}
			}
			return writeEntry(archive, path.Join(prefix, relative), entry, content)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ignored says whether a file is none of the sources.
func ignored(name string) bool {
	return filepath.Base(name) == "MODULE.bazel.lock"
}

func writeEntry(archive *tar.Writer, name string, entry fs.DirEntry, content []byte) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	mode := int64(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: mode, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = archive.Write(content)
	return err
}
