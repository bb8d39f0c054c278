//go:build unix

package subprocess

import (
	"os/exec"
	"syscall"
)

// group starts a program as the leader of its own process group, and kills it with the
// whole group: a shell script that is killed alone leaves its children behind.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// killGroup ends the processes that a program left behind. The number of the group is not
// used again while a process is in it.
func killGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // they may have ended meanwhile
}
