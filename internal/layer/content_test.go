package layer_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/layer"
)

// Files are read ahead into buffers that are used again: each must have its own
// bytes in the archive, whatever the sizes of its neighbours.
func TestEveryFileOfManyHasItsOwnBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	dir, sizes := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	want, list := map[string]string{}, ""
	for n := range 2000 {
		size := sizes.IntN(4 << 10)
		if n%100 == 0 {
			size = sizes.IntN(300 << 10)
		}
		name := fmt.Sprintf("f%04d", n)
		want[name] = strings.Repeat(name+" ", size/6)
		list += "put\t0644\t/" + name + "\tfile\t\t" + source(t, filepath.Join(dir, name), want[name]) + "\n"
	}
	for range 3 {
		blob, _ := write(t, list, layer.Options{Compression: layer.None})
		found := 0
		for archive := tar.NewReader(bytes.NewReader(blob)); ; found++ {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			if header.Typeflag == tar.TypeReg && string(data) != want[header.Name] {
				t.Fatalf("%s has %d bytes %.20q, not %d of its own", header.Name, len(data), data, len(want[header.Name]))
			}
		}
		if found != len(want) {
			t.Fatalf("%d entries", found)
		}
	}
}
