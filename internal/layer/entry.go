package layer

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Entry is one thing in a layer.
type Entry struct {
	// path is where it is in the image: absolute, with a leading slash or without.
	path string
	// source is the file whose content a regular file has. Empty for an empty
	// file.
	source string
	// link is the target of a symbolic link; the entry is one if it is set.
	link string
	// dir says that the entry is a directory.
	dir bool
	// removed says that the path is gone: the layers below may have it.
	removed bool
	Attributes

	// implied says that nobody named the directory: whoever does wins.
	implied bool
	// open says that the mode is only the usual one.
	open bool
}

// Attributes are what an entry has besides its content.
type Attributes struct {
	// Mode is the permission bits of a regular file or a directory, with the
	// set-user-id, set-group-id and sticky bits as Unix has them (04000, 02000,
	// 01000).
	Mode fs.FileMode
	// uid and gid are the owner: root unless set.
	uid, gid int
	// modTime is in whole seconds. Its zero is the epoch's.
	modTime time.Time
	// xattrs are extended attributes by name.
	xattrs map[string]string
}

// Modes of what nobody gave a mode.
const (
	fileMode       fs.FileMode = 0o644
	executableMode fs.FileMode = 0o755
	dirMode        fs.FileMode = 0o755
)

// cleanPath turns a path in the image into the name of a tar entry: "app/bin".
func cleanPath(p string) (string, error) {
	if p == "" {
		return "", fmt.Errorf("an entry must have a path")
	}
	if strings.Contains(p, "\x00") {
		return "", fmt.Errorf("path %q must not contain a zero byte", p)
	}
	for element := range strings.SplitSeq(p, "/") {
		if element == ".." {
			return "", fmt.Errorf("path %q must not lead out of the image", p)
		}
	}
	p = strings.TrimLeft(p, "/")
	if p = path.Clean(p); p == "." {
		return "", nil
	}
	return p, nil
}

// arrange puts the entries into the order of the archive, and refuses two things
// at one path. With parents it adds the parent directories that nobody named.
func arrange(entries []Entry, parents bool) ([]Entry, error) {
	sorted := make([]Entry, 0, len(entries))
	for _, e := range entries {
		p, err := cleanPath(e.path)
		if err != nil {
			return nil, err
		}
		if p == "" && !e.dir {
			return nil, fmt.Errorf("the root of the image must be a directory (%s)", describe(e))
		}
		if !e.removed {
			if err := refuseWhiteouts(p); err != nil {
				return nil, err
			}
		}
		e.open = false
		if e.path = p; p != "" {
			sorted = append(sorted, e)
		}
	}
	// By path elements, so that a directory comes right before what it holds.
	slices.SortStableFunc(sorted, func(a, b Entry) int { return comparePaths(a.path, b.path) })

	ordered := make([]Entry, 0, len(sorted))
	// above are the entries on the way from the root to the last one, which is one
	// of them.
	var above []Entry
	add := func(e Entry) {
		ordered, above = append(ordered, e), append(above, e)
	}
	for _, e := range sorted {
		if n := len(ordered); n > 0 && ordered[n-1].path == e.path {
			one, err := oneOf(ordered[n-1], e)
			if err != nil {
				return nil, err
			}
			ordered[n-1], above[len(above)-1] = one, one
			continue
		}
		for len(above) > 0 && !isBelow(e.path, above[len(above)-1].path) {
			above = above[:len(above)-1]
		}
		known := 0 // how much of the path is there
		if n := len(above); n > 0 {
			if parent := above[n-1]; !parent.dir {
				return nil, fmt.Errorf("/%s is %s, so /%s cannot be below it", parent.path, describe(parent), e.path)
			}
			known = len(above[n-1].path) + 1
		}
		for i := known; parents && i < len(e.path); i++ {
			if e.path[i] == '/' {
				add(Entry{path: e.path[:i], dir: true, Attributes: Attributes{Mode: dirMode}})
			}
		}
		add(e)
	}
	return ordered, nil
}

// oneOf is the one entry of two at the same path: they are alike, or one of them is
// a directory that somebody named, and the other the same directory that nobody
// did.
func oneOf(a, b Entry) (Entry, error) {
	switch {
	case a.dir && b.dir && b.implied:
		return a, nil
	case a.dir && b.dir && a.implied:
		return b, nil
	case reflect.DeepEqual(a, b):
		return a, nil
	case a.removed != b.removed:
		return Entry{}, fmt.Errorf("/%s is both in the layer and in remove. To remove only what lower layers have in the directory, write /%s/", a.path, a.path)
	}
	return Entry{}, fmt.Errorf("/%s is in the layer twice: from %s and from %s", a.path, describe(a), describe(b))
}

func isBelow(path, dir string) bool {
	return len(path) > len(dir) && path[len(dir)] == '/' && strings.HasPrefix(path, dir)
}

// comparePaths orders paths by their elements: a slash comes before all else.
func comparePaths(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		if a[i] == '/' || b[i] != '/' && a[i] < b[i] {
			return -1
		}
		return 1
	}
	return cmp.Compare(len(a), len(b))
}

func describe(e Entry) string {
	switch {
	case e.removed:
		return "an entry of remove"
	case e.dir:
		return "a directory"
	case e.link != "":
		return "a link to " + e.link
	case e.source == "":
		return "an empty file"
	}
	return e.source
}
