package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Pull has containerd's own client pull an image over plain HTTP, with a password if
// that is not empty, and unpack it.
func (c *Containerd) Pull(t T, image, password string) error {
	t.Helper()
	installed := filepath.Join(Root(t), ".cache", "containerd", "usr")
	args := []string{"--address", c.Address, "--namespace", c.Namespace, "images", "pull", "--plain-http", "--snapshotter", "native"}
	if password != "" {
		args = append(args, "--user", "anybody:"+password)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(installed, "bin", "ctr"), append(args, image)...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(installed, "lib", "x86_64-linux-gnu"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ctr images pull: %w\n%s", err, out)
	}
	return nil
}
