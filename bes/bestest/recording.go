package bestest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// A recording is the requests of one stream, each behind its length as a varint.

// maxRecorded bounds a recorded message, in bytes.
const maxRecorded = 64 << 20

// ReadRecording reads the requests of a recorded stream.
func ReadRecording(path string) ([][]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read recording: %w", err)
	}
	defer func() { _ = f.Close() }()
	in := bufio.NewReader(f)
	var requests [][]byte
	for {
		n, err := binary.ReadUvarint(in)
		if errors.Is(err, io.EOF) {
			return requests, nil
		}
		if err != nil || n > maxRecorded {
			return nil, fmt.Errorf("read recording %s: message %d has no good length: %w", path, len(requests)+1, err)
		}
		request := make([]byte, n)
		if _, err := io.ReadFull(in, request); err != nil {
			return nil, fmt.Errorf("read recording %s: message %d: %w", path, len(requests)+1, err)
		}
		requests = append(requests, request)
	}
}

// WriteRecording writes the requests of a stream to a file.
func WriteRecording(path string, requests [][]byte) error {
	var out []byte
	for _, request := range requests {
		out = binary.AppendUvarint(out, uint64(len(request)))
		out = append(out, request...)
	}
	if err := os.WriteFile(path, out, 0o600); err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	return nil
}
