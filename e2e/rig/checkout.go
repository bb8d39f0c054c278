package rig

import "path/filepath"

// Checkout is the checkout itself as a Bazel workspace: Drayage as the root
// module, the way that its own developers build it. Nothing of Bazel's is left
// in it.
func Checkout(t T) *Workspace {
	t.Helper()
	w := &Workspace{Dir: Root(t), outputBase: filepath.Join(TempDir(t), "output"), noLinks: true}
	t.Cleanup(func() { w.shutdown(t) })
	return w
}
