package layer

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
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
	// Mode is the permission bits of a regular file or a directory.
	Mode fs.FileMode
	// Dir says that the entry is a directory.
	Dir bool
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
		if other, taken := byPath[p]; taken && other != e {
			return nil, fmt.Errorf("/%s is there twice: from %s and from %s", p, describe(other), describe(e))
		}
		byPath[p] = e
	}
	for p := range byPath {
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			parent, there := byPath[dir]
			if there && !parent.Dir {
				return nil, fmt.Errorf("/%s is %s, and /%s is to be below it", dir, describe(parent), p)
			}
			if !there {
				byPath[dir] = Entry{Path: dir, Dir: true, Mode: DirMode}
			}
		}
	}
	ordered := make([]Entry, 0, len(byPath))
	for _, e := range byPath {
		ordered = append(ordered, e)
	}
	// By path elements, so that a directory comes right before what it holds.
	slices.SortFunc(ordered, func(a, b Entry) int {
		return slices.Compare(strings.Split(a.Path, "/"), strings.Split(b.Path, "/"))
	})
	return ordered, nil
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
