package main

import (
	"fmt"
	"io"
	"os"

	"github.com/dustin/go-humanize"

	"github.com/drayage/drayage/internal/image"
)

// readDocument reads a manifest, an index or a part of a config. Not more of it is
// read than one can have.
func readDocument(what, path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, image.MaxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	if len(data) > image.MaxDocument {
		return nil, fmt.Errorf("read %s: %s must be at most %s", what, path, humanize.IBytes(image.MaxDocument))
	}
	return data, nil
}
