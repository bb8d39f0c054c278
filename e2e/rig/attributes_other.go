//go:build !linux

package rig

import (
	"os/exec"
	"strconv"
)

// dieWithParent needs Linux; elsewhere a test that is killed leaves its servers
// behind.
func dieWithParent(*exec.Cmd) {}

// commandLine is how a process was called, or "" where there is none.
func commandLine(pid int) string {
	text, _ := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return string(text)
}
