package rig

import (
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// dieWithParent has the kernel end the process when this one ends without
// having stopped it, as a test does that runs into its time limit.
func dieWithParent(cmd *exec.Cmd) {
	attributes(cmd).Pdeathsig = syscall.SIGKILL
}

// asOrdinaryUser lets root run a program that refuses to be run by root, on the
// files in dir. It runs in a user namespace of its own, in which root goes by
// another number, so that files keep their owner and no path is closed to it.
// Where there are no such namespaces, as in most containers, it runs as nobody.
func asOrdinaryUser(t T, cmd *exec.Cmd, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	a := attributes(cmd)
	if userNamespaces() {
		inUserNamespace(a)
		return
	}
	const nobody = 65534
	a.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatalf("hand %s to an ordinary user: %v", dir, err)
	}
}

func inUserNamespace(a *syscall.SysProcAttr) {
	const number = 1000
	a.Cloneflags |= syscall.CLONE_NEWUSER
	a.UidMappings = []syscall.SysProcIDMap{{ContainerID: number, HostID: os.Getuid(), Size: 1}}
	a.GidMappings = []syscall.SysProcIDMap{{ContainerID: number, HostID: os.Getgid(), Size: 1}}
}

var userNamespaces = sync.OnceValue(func() bool {
	cmd := exec.Command("true")
	inUserNamespace(attributes(cmd))
	return cmd.Run() == nil
})

func attributes(cmd *exec.Cmd) *syscall.SysProcAttr {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	return cmd.SysProcAttr
}
