//go:build !unix

package layer

import (
	"fmt"
	"io"
	"os"
)

// readFile reads the beginning of a regular file, as much as room makes room for,
// and tells its size.
func readFile(source string, room func(size int64) []byte) (size int64, err error) {
	file, err := os.Open(source)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%s must be a regular file", source)
	}
	if info.Size() == 0 {
		return 0, nil
	}
	if _, err := io.ReadFull(file, room(info.Size())); err != nil {
		return 0, fmt.Errorf("read %s: %w", source, err)
	}
	return info.Size(), nil
}
