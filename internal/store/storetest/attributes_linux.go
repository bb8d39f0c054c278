package storetest

import "syscall"

// attributes makes the process another user's, and ends it with this process: a
// test that is killed leaves no server behind.
func attributes(owner *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: owner, Pdeathsig: syscall.SIGQUIT}
}
