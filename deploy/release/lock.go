package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// lockPath is the file of the module from which the rules know the prebuilt tools.
const lockPath = "rules/private/prebuilt.lock.json"

// lock is what rules/private/extension.bzl reads. In a checkout it has no files,
// and the tool is built from source.
type lock struct {
	Version string `json:"version"`
	// URL is a template: {version} and {file} stand for the version and a file's
	// name.
	URL string `json:"url"`
	// Files are the tools by platform: "linux_amd64".
	Files map[string]lockedFile `json:"files"`
}

// lockedFile is the tool for one platform.
type lockedFile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

func (l lock) encode() ([]byte, error) {
	text, err := json.Marshal(l, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return nil, fmt.Errorf("encode lock: %w", err)
	}
	return append(text, '\n'), nil
}

func sumFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("hash: %w", err)
	}
	defer func() { _ = file.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("hash %s: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// writeSums writes SHA256SUMS, in the form that sha256sum --check reads.
func writeSums(dir string, names []string) error {
	var sums strings.Builder
	for _, name := range names {
		sum, err := sumFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, name)
	}
	if err := os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums.String()), 0o644); err != nil { //nolint:gosec // for everybody
		return fmt.Errorf("write sums: %w", err)
	}
	return nil
}
