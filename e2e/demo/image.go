package main

import (
	"archive/tar"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

// showImage pulls a pushed image, lists its files, and runs its program there.
func showImage(t rig.T, s *screen, entry ledger.Entry) {
	reference := fmt.Sprintf("%s/%s@%s", entry.Registry, entry.Repository, entry.Digest)
	s.linef("%s", reference)
	s.linef("")
	image := rig.PullImage(t, reference)
	dir := rig.TempDir(t)
	var rows [][]string
	for _, file := range rig.Unpack(t, image, dir) {
		if file.Typeflag == tar.TypeReg {
			rows = append(rows, []string{
				file.FileInfo().Mode().String(), fmt.Sprintf("%d:%d", file.Uid, file.Gid),
				strings.TrimSpace(bytesOf(file.Size)), file.ModTime.UTC().Format(time.DateOnly), "/" + strings.TrimLeft(file.Name, "./"),
			})
		}
	}
	s.table(rows)

	config, err := image.ConfigFile()
	if err != nil {
		t.Fatalf("read the config of %s: %v", reference, err)
	}
	// Outside its image the program needs to be told where its file is.
	program, argument := "."+config.Config.Entrypoint[0], "./app/config"
	s.linef("")
	s.linef("$ %s", s.style("1", program+" "+argument))
	cmd := exec.CommandContext(t.Context(), program, argument)
	cmd.Dir = dir
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("run %s of %s: %v\n%s", program, reference, err, output)
	}
	s.text(string(output))
}
