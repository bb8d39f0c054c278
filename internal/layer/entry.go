package layer

import (
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
	// Path is where it is in the image: absolute, with a leading slash or without.
	Path string
	// Source is the file whose content a regular file has. Empty for an empty
	// file.
	Source string
	// Link is the target of a symbolic link; the entry is one if it is set.
	Link string
	// Dir says that the entry is a directory.
	Dir bool
	Attributes
}

// Attributes are what an entry has besides its content.
type Attributes struct {
	// Mode is the permission bits of a regular file or a directory, with the
	// set-user-id, set-group-id and sticky bits as Unix has them (04000, 02000,
	// 01000).
	Mode fs.FileMode
	// UID and GID are the owner: root unless set.
	UID, GID int
	// ModTime is in whole seconds. Its zero is the epoch's.
	ModTime time.Time
	// Xattrs are extended attributes by name.
	Xattrs map[string]string
}

// Modes of what nobody gave a mode.
const (
	FileMode       fs.FileMode = 0o644
	ExecutableMode fs.FileMode = 0o755
	DirMode        fs.FileMode = 0o755
)

// cleanPath turns a path in the image into the name of a tar entry: "app/bin".
func cleanPath(p string) (string, error) {
	if p == "" {
		return "", fmt.Errorf("an entry has no path")
	}
	if strings.ContainsAny(p, "\x00\n") {
		return "", fmt.Errorf("path %q holds a line break or a zero byte", p)
	}
	for element := range strings.SplitSeq(p, "/") {
		if element == ".." {
			return "", fmt.Errorf("path %q leads out of the image", p)
		}
	}
	return strings.TrimPrefix(path.Clean("/"+p), "/"), nil
}

// arrange puts the entries into the order of the archive, adds the parent
// directories that nobody named, and refuses two things at one path.
func arrange(entries []Entry) ([]Entry, error) {
	byPath := make(map[string]Entry, len(entries))
	for _, e := range entries {
		p, err := cleanPath(e.Path)
		if err != nil {
			return nil, err
		}
		e.Path = p
		if p == "" {
			if !e.Dir {
				return nil, fmt.Errorf("the root of the image cannot be a file (%s)", e.Source)
			}
			continue
		}
		if other, taken := byPath[p]; taken && !reflect.DeepEqual(other, e) {
			return nil, fmt.Errorf("/%s is there twice: from %s and from %s", p, describe(other), describe(e))
		}
		byPath[p] = e
	}
	if err := addParents(byPath); err != nil {
		return nil, err
	}
	type keyed struct {
		elements []string
		entry    Entry
	}
	order := make([]keyed, 0, len(byPath))
	for _, e := range byPath {
		order = append(order, keyed{strings.Split(e.Path, "/"), e})
	}
	// By path elements, so that a directory comes right before what it holds.
	slices.SortFunc(order, func(a, b keyed) int { return slices.Compare(a.elements, b.elements) })
	ordered := make([]Entry, len(order))
	for i, k := range order {
		ordered[i] = k.entry
	}
	return ordered, nil
}

func addParents(byPath map[string]Entry) error {
	var missing []Entry
	added := map[string]bool{}
	for p := range byPath {
		for dir := path.Dir(p); dir != "." && !added[dir]; dir = path.Dir(dir) {
			parent, there := byPath[dir]
			if there && !parent.Dir {
				return fmt.Errorf("/%s is %s, and /%s is to be below it", dir, describe(parent), p)
			}
			if !there {
				added[dir] = true
				missing = append(missing, Entry{Path: dir, Dir: true, Attributes: Attributes{Mode: DirMode}})
			}
		}
	}
	for _, e := range missing {
		byPath[e.Path] = e
	}
	return nil
}

func describe(e Entry) string {
	switch {
	case e.Dir:
		return "a directory"
	case e.Link != "":
		return "a link to " + e.Link
	case e.Source == "":
		return "an empty file"
	}
	return e.Source
}
