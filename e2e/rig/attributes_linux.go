package rig

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end the process when this one ends without
// having stopped it, as a test does that runs into its time limit.
func dieWithParent(cmd *exec.Cmd) {
	attributes(cmd).Pdeathsig = syscall.SIGKILL
}

func attributes(cmd *exec.Cmd) *syscall.SysProcAttr {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	return cmd.SysProcAttr
}
