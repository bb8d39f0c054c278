package sqldbtest

import (
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// attributes makes the process another user's, and ends it with this process: a
// test that is killed leaves no server behind. Root without an owner runs it in a
// user namespace of its own, in which root goes by another number: files keep
// their owner, and no folder of root's is closed to it.
func attributes(owner *syscall.Credential) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Credential: owner, Pdeathsig: syscall.SIGQUIT}
	if owner == nil && os.Getuid() == 0 {
		const number = 1000
		a.Cloneflags = syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: number, HostID: 0, Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: number, HostID: os.Getgid(), Size: 1}}
	}
	return a
}

// userNamespaces says whether they can be had; in most containers they cannot.
var userNamespaces = sync.OnceValue(func() bool {
	try := exec.Command("true")
	try.SysProcAttr = attributes(nil)
	return try.Run() == nil
})
