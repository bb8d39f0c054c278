package layer_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/layer"
)

func TestTheNumberOfProcessorsDoesNotShow(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	dir := t.TempDir()
	noise := rand.New(rand.NewPCG(1, 2))
	for i := range 40 {
		data := make([]byte, noise.IntN(1<<18))
		for j := range data {
			data[j] = byte(noise.IntN(20))
		}
		source(t, filepath.Join(dir, fmt.Sprint(i)), string(data))
	}
	for name, options := range map[string]layer.Options{
		"gzip": {}, "gzip 9": {Level: 9}, "zstd": {Compression: layer.Zstd}, "zstd 6": {Compression: layer.Zstd, Level: 6}, "eStargz": {EStargz: true, Scratch: dir + "/.."},
	} {
		var first []byte
		for _, processors := range []int{1, 2, 7} {
			before := runtime.GOMAXPROCS(processors)
			blob, _ := write(t, "put\t0644\t/app\tfile\t\t"+dir+"\n", options)
			runtime.GOMAXPROCS(before)
			if first == nil {
				first = blob
			}
			if !bytes.Equal(first, blob) {
				t.Errorf("%s: the blob on %d processors differs", name, processors)
			}
		}
	}
}

func TestLevelsHaveBounds(t *testing.T) {
	for _, options := range []layer.Options{{Level: 10}, {Compression: layer.Zstd, Level: 23}, {Compression: layer.None, Level: 1}, {Level: -1}} {
		if _, err := layer.Write(io.Discard, nil, options); err == nil || !strings.Contains(err.Error(), "level") {
			t.Errorf("%+v: error is %v", options, err)
		}
	}
}

func TestALayerWithoutEntriesIsAnEmptyArchive(t *testing.T) {
	for _, compression := range []layer.Compression{layer.Gzip, layer.Zstd, layer.None} {
		blob, _ := write(t, "", layer.Options{Compression: compression})
		if got := listing(t, decompress(t, blob, compression)); got != "" {
			t.Errorf("%s: %s", compression, got)
		}
	}
}

func TestSameSourcesInAnotherFolderGiveTheSameBlob(t *testing.T) {
	// Compressible and larger than one block of the parallel compressor.
	content := strings.Repeat("all work and no play makes a dull layer\n", 1<<17)
	var blobs [2][]byte
	for _, compression := range []layer.Compression{layer.Gzip, layer.Zstd} {
		for i := range blobs {
			file := source(t, filepath.Join(t.TempDir(), fmt.Sprint("f", i)), content)
			blobs[i], _ = write(t, "put\t0644\t/data\tfile\t\t"+file+"\n", layer.Options{Compression: compression})
		}
		if !bytes.Equal(blobs[0], blobs[1]) {
			t.Errorf("%s: the blobs differ", compression)
		}
	}
}
