package main

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Trees are made of words and of noise, so that they compress to about a third,
// as programs and their data do.

const largeFile = 16 << 20

// makeLarge makes size bytes in files of 16 MiB.
func makeLarge(dir string, size int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	noise := rand.New(rand.NewPCG(1, 2))
	for n := 0; size > 0; n++ {
		data := text(noise, int(min(size, largeFile)))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d", n)), data, 0o644); err != nil {
			return err
		}
		size -= int64(len(data))
	}
	return nil
}

// makeSmall makes files of up to 8 KiB, a hundred in a folder.
func makeSmall(dir string, files int) error {
	noise := rand.New(rand.NewPCG(3, 4))
	for n := range files {
		folder := filepath.Join(dir, fmt.Sprintf("%04d", n/100))
		if n%100 == 0 {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("file-%02d", n%100)), text(noise, 1+noise.IntN(8<<10)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// text is n bytes: words of a vocabulary, and between them bytes of no pattern.
func text(noise *rand.Rand, n int) []byte {
	data := make([]byte, 0, n+64)
	for len(data) < n {
		if noise.IntN(4) == 0 {
			for range 8 {
				data = append(data, byte(noise.Uint32()))
			}
			continue
		}
		data = fmt.Appendf(data, "word%d ", noise.IntN(5000))
	}
	return data[:n]
}

func treeSize(dir string) (int64, error) {
	var size int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		size += info.Size()
		return err
	})
	return size, err
}
