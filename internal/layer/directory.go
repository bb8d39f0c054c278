package layer

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// found is what a name in a directory stands for.
type found int

const (
	aFile found = iota
	aDirectory
	aLink
)

// walk is a way through a directory that goes into a layer.
type walk struct {
	*lister

	put put
	// look says what a symbolic link stands for, and its text if it is to be kept. An
	// empty directory has an entry only if keepEmpty is set.
	look      func(source string) (found, string, error)
	keepEmpty bool
	// above are the directories on the way, for links that lead back to one.
	above []fs.FileInfo
}

// directory adds what is below a directory that an action made. Bazel knows it by
// its files alone: sandboxes and remote executors get no empty directory and no
// link, the local strategy does. So links are followed, whoever made them, and
// empty directories are left out.
func (l *lister) directory(p put, look func(string) (found, string, error)) error {
	return (&walk{lister: l, put: p, look: look}).root()
}

// followed follows a link in a directory that an action made. One that leads
// nowhere is kept.
func (l *lister) followed(source string) (found, string, error) {
	info, err := os.Stat(source)
	if leadsNowhere(err) {
		text, _, err := l.build.link(source)
		return aLink, text, err
	}
	return leadsTo(source, info, err)
}

// sourceDirectory adds what is below a directory of the sources, which actions see
// as the user has it: with its empty directories, and links.
func (l *lister) sourceDirectory(p put) error {
	root, err := filepath.EvalSymlinks(p.source)
	if err != nil {
		return err
	}
	if _, _, err := l.build.link(p.source); err != nil {
		return err // it was for where the sources are
	}
	look := func(source string) (found, string, error) {
		text, at, err := l.build.linkBelow(source)
		if err != nil {
			return 0, "", err
		}
		if text == "" {
			info, err := os.Stat(at)
			return leadsTo(at, info, err)
		}
		if filepath.IsAbs(text) {
			if !l.build.holds(text) {
				return aLink, text, nil
			}
		} else if to, err := filepath.EvalSymlinks(at); leadsNowhere(err) || err == nil && within(to, root) {
			return aLink, text, nil
		}
		// It leads out of the directory, to what need not be in the image.
		info, err := os.Stat(at)
		if leadsNowhere(err) {
			return aLink, text, nil
		}
		return leadsTo(source, info, err)
	}
	return (&walk{lister: l, put: p, look: look, keepEmpty: true}).root()
}

func (w *walk) root() error {
	before := len(w.entries)
	if err := w.dir(w.put.source, w.put.path); err != nil {
		return err
	}
	if len(w.entries) == before {
		w.add(w.put.implied(w.put.path))
	}
	return nil
}

func (w *walk) dir(source, path string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	for _, above := range w.above {
		if os.SameFile(above, info) {
			return fmt.Errorf("%s is a link to a directory that contains it: remove the link, or point it elsewhere", source)
		}
	}
	w.above = append(w.above, info)
	defer func() { w.above = w.above[:len(w.above)-1] }()

	names, err := os.ReadDir(source)
	if err != nil {
		return err
	}
	before := len(w.entries)
	for _, name := range names {
		if err := w.name(name, filepath.Join(source, name.Name()), path+"/"+name.Name()); err != nil {
			return err
		}
	}
	empty := len(w.entries) == before
	if owned := w.put.uid != 0 || w.put.gid != 0; empty && w.keepEmpty || !empty && owned {
		w.add(w.put.implied(path))
	}
	return nil
}

func (w *walk) name(name fs.DirEntry, source, path string) error {
	is, text := aFile, ""
	var err error
	switch {
	case name.Type()&fs.ModeSymlink != 0:
		is, text, err = w.look(source)
	case name.IsDir():
		is = aDirectory
	case !name.Type().IsRegular():
		err = notAFile(source)
	}
	if err != nil {
		return err
	}
	switch is {
	case aDirectory:
		return w.dir(source, path)
	case aLink:
		w.add(w.put.link(path, text))
	default:
		w.add(w.put.entry(path, source))
	}
	return nil
}

// leadsTo says what a link leads to.
func leadsTo(source string, info fs.FileInfo, err error) (found, string, error) {
	switch {
	case err != nil:
		return 0, "", err
	case info.IsDir():
		return aDirectory, "", nil
	case info.Mode().IsRegular():
		return aFile, "", nil
	}
	return 0, "", notAFile(source)
}

func notAFile(source string) error {
	return fmt.Errorf("%s must be a file, a directory or a symbolic link: use layer_from_tar for devices, pipes and sockets", source)
}

// within tells whether path is dir or below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
