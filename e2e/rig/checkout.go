package rig

import "path/filepath"

// Checkout is the checkout itself as a Bazel workspace: Drayage as the root
// module, the way that its own developers build it.
func Checkout(t T) *Workspace {
	t.Helper()
	return OpenWorkspace(t, Root(t))
}

// OpenWorkspace is the workspace in a folder, which is used where it is. Nothing
// of Bazel's is left in it.
func OpenWorkspace(t T, dir string) *Workspace {
	t.Helper()
	w := &Workspace{Dir: dir, outputBase: filepath.Join(TempDir(t), "output"), noLinks: true}
	t.Cleanup(func() { w.shutdown(t) })
	return w
}
