package layer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// build knows where Bazel keeps the files of a build, and so which symbolic links
// are its own.
//
// A sandbox has a link for each input, to the same path below the real execution
// root; there, sources are links into the user's workspace, and what
// ctx.actions.symlink made is a link to its target. All of these are absolute. A
// symbolic link that a rule declared is in all places the link that the rule
// wrote.
type build struct {
	// bases are the folders that have been seen to hold the inputs at their own
	// paths: execution roots, and the user's workspace.
	bases []string
	// roots are the folders of the build.
	roots []string
}

// maxHops bounds how many of Bazel's links lead one to the next.
const maxHops = 8

// execRootFolder is in the path of every execution root.
const execRootFolder = "/execroot/"

// newBuild is the build of an action that runs in the working directory.
func newBuild() *build {
	b := &build{}
	if here, err := os.Getwd(); err == nil {
		b.addBase(here)
	}
	return b
}

// link is the text of the symbolic link that an input is, less those that lead to
// the same path elsewhere, and where it is. It is empty if there is no link.
func (b *build) link(input string) (text, at string, err error) {
	return b.follow(input, func(at, base string) bool {
		// From one execution root to the next, or to what this one is made of.
		if !filepath.IsAbs(at) || strings.Contains(at, execRootFolder) || strings.Contains(base+"/", execRootFolder) {
			b.addBase(base)
			return true
		}
		return false
	})
}

// linkBelow is the same for a path below an input that is a directory: such a link
// may be the user's, and lead to a path that ends in the same way by chance.
func (b *build) linkBelow(path string) (text, at string, err error) {
	return b.follow(path, func(_, base string) bool { return slices.Contains(b.bases, base) })
}

// follow follows links to the same path below another base, if that is one.
func (b *build) follow(path string, isBase func(at, base string) bool) (text, at string, err error) {
	at = path
	for range maxHops {
		info, err := os.Lstat(at)
		if err != nil {
			return "", "", err
		}
		if info.Mode()&os.ModeSymlink == 0 {
			return "", at, nil
		}
		if text, err = os.Readlink(at); err != nil {
			return "", "", err
		}
		base, found := strings.CutSuffix(text, "/"+path)
		if !found || base == "" || !filepath.IsAbs(text) || filepath.IsAbs(path) || !isBase(at, base) {
			return text, at, nil
		}
		at = text
	}
	return "", "", fmt.Errorf("%s is a link to a link of the same name, and so on", path)
}

// holds tells whether an absolute link leads to a file of the build.
func (b *build) holds(text string) bool {
	text = filepath.Clean(text)
	return slices.ContainsFunc(b.roots, func(root string) bool { return within(text, root) })
}

// addBase adds the folders of the build that a base shows: Bazel's own around an
// execution root, and those of the sources that it links to.
func (b *build) addBase(base string) {
	if base == "" || base == "/" || slices.Contains(b.bases, base) {
		return
	}
	b.bases = append(b.bases, base)
	outputBase, _, _ := strings.Cut(base, execRootFolder)
	if outputBase == "" {
		outputBase = base // a sandbox with a root of its own
	}
	b.roots = append(b.roots, outputBase)
	entries, err := os.ReadDir(base)
	if err != nil {
		return // it need not be readable: then it tells nothing
	}
	for _, entry := range entries {
		if target, err := os.Readlink(filepath.Join(base, entry.Name())); err == nil && filepath.IsAbs(target) {
			b.roots = append(b.roots, target)
		}
	}
}
