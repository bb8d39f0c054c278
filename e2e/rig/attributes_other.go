//go:build !linux

package rig

import "os/exec"

// dieWithParent needs Linux; elsewhere a test that is killed leaves its servers
// behind.
func dieWithParent(*exec.Cmd) {}
