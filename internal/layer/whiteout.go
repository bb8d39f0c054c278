package layer

import (
	"fmt"
	"path"
	"strings"
)

// Names of files that say of the layers below that something in them is gone (OCI
// image spec, "Whiteouts").
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
)

// whiteout is the entry that removes what the layers below have at a path; with a
// slash at its end, what they have in that directory.
func whiteout(p string) Entry {
	if strings.HasSuffix(p, "/") && path.Clean(p) != "/" {
		return Entry{path: p + opaqueName, removed: true}
	}
	return Entry{path: p, removed: true}
}

// whiteoutPath is the path of the file that says so of a path.
func whiteoutPath(p string) string {
	dir, name := path.Split(p)
	if name == opaqueName {
		return p
	}
	return dir + whiteoutPrefix + name
}

// refuseWhiteouts keeps a file that happens to have such a name from deleting
// another.
func refuseWhiteouts(p string) error {
	for element := range strings.SplitSeq(p, "/") {
		if strings.HasPrefix(element, whiteoutPrefix) {
			return fmt.Errorf("/%s would not become a file: the name %s removes something from the layers below. Use the attribute remove for that, or rename the file", p, element)
		}
	}
	return nil
}
