//go:build !linux

package rig

import "os/exec"

// dieWithParent and asOrdinaryUser need Linux; elsewhere a test that is killed
// leaves its servers behind, and root cannot run PostgreSQL.
func dieWithParent(*exec.Cmd) {}

func asOrdinaryUser(T, *exec.Cmd, string) {}
