//go:build !unix

package subprocess

import "os/exec"

// group does nothing: without process groups, only the program is killed.
func group(*exec.Cmd) {}

func killGroup(*exec.Cmd) {}
