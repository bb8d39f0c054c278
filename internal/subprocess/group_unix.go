//go:build unix

package subprocess

import (
	"os/exec"
	"syscall"
)

// group starts a program as the leader of a group of its own, and has it killed with
// the group: a shell script that is killed leaves what it has started.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// killGroup ends what a program left behind. Its number is nobody else's as long as
// there is somebody in the group.
func killGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // they may have ended meanwhile
}
