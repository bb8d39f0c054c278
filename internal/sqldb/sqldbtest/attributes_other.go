//go:build unix && !linux

package sqldbtest

import "syscall"

// attributes makes the process another user's.
func attributes(owner *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: owner}
}

// userNamespaces are Linux's.
func userNamespaces() bool { return false }
