// Package version says which release a program is of.
package version

import "runtime/debug"

// release is set by the linker in a release build:
// -ldflags "-X github.com/drayage/drayage/internal/version.release=v1.2.3".
var release string

// String is the release, or the module version that `go install` built, or
// "dev".
func String() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
