package rig

import (
	"os"
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end the process when this one ends without
// having stopped it, as a test does that runs into its time limit.
func dieWithParent(cmd *exec.Cmd) {
	attributes(cmd).Pdeathsig = syscall.SIGKILL
}

// asOrdinaryUser lets root run a program that refuses to be run by root: in a
// user namespace of its own, in which root goes by another number. Files keep
// their owner, and no other account needs to exist.
func asOrdinaryUser(cmd *exec.Cmd) {
	if os.Getuid() != 0 {
		return
	}
	const number = 1000
	a := attributes(cmd)
	a.Cloneflags |= syscall.CLONE_NEWUSER
	a.UidMappings = []syscall.SysProcIDMap{{ContainerID: number, HostID: os.Getuid(), Size: 1}}
	a.GidMappings = []syscall.SysProcIDMap{{ContainerID: number, HostID: os.Getgid(), Size: 1}}
}

func attributes(cmd *exec.Cmd) *syscall.SysProcAttr {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	return cmd.SysProcAttr
}
