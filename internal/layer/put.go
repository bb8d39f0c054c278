package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// put is a line of a list that puts what a source holds into the layer.
type put struct {
	// folder is where it goes, and path the whole of it: the folder and the name.
	folder, path string
	kind, source string
	// strip is what the name begins with and the path is not to have. keeps says
	// that there is one, which may be empty.
	strip string
	// ownFolder says that the folder has the owner of what is in it.
	ownFolder bool
	// open says that the mode is only the usual one.
	open bool
	Attributes
}

func (p *put) set(field string) error {
	if prefix, ok := strings.CutPrefix(field, "strip="); ok {
		p.strip = prefix
		return nil
	}
	if field == "own=folder" {
		p.ownFolder = true
		return nil
	}
	return p.Attributes.set(field)
}

// at is the path in the image of a name in the folder.
func (p *put) at(name string) (string, error) {
	if p.strip != "" {
		rest, ok := strings.CutPrefix(name+"/", p.strip+"/")
		if !ok {
			return "", fmt.Errorf("%s is not below %s, the strip_prefix of %s", name, p.strip, p.folder)
		}
		name = strings.TrimSuffix(rest, "/")
	}
	if name == "" {
		return p.folder, nil
	}
	return strings.TrimSuffix(p.folder, "/") + "/" + name, nil
}

// entry is what the put makes of a file that goes to path.
func (p *put) entry(path, source string) Entry {
	return Entry{path: path, source: source, Attributes: p.Attributes, open: p.open}
}

func (l *lister) put(p put) error {
	l.ownFolders(p)
	switch p.kind {
	case "empty":
		l.add(p.entry(p.path, ""))
		return nil
	case "symlink":
		text, _, err := l.build.link(p.source)
		if err == nil && text == "" {
			err = fmt.Errorf("%s must be a symbolic link", p.source)
		}
		if err != nil {
			return err
		}
		l.add(p.link(p.path, text))
		return nil
	case "output":
		return l.output(p)
	case "file", "tree":
		info, err := os.Stat(p.source)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			l.add(p.entry(p.path, p.source))
			return nil
		}
		if p.kind == "tree" {
			return l.directory(p, l.followed)
		}
		return l.sourceDirectory(p)
	}
	return fmt.Errorf("kind %q must be file, tree, output, symlink or empty", p.kind)
}

// link is the entry of a symbolic link, which has an owner and a time, and none
// of the attributes of files.
func (p *put) link(path, text string) Entry {
	e := Entry{path: path, link: text, Attributes: p.Attributes}
	e.Mode, e.xattrs = 0, nil
	return e
}

// ownFolders gives the folders between that of the put and what it puts there the
// owner of the put. Without an owner they need no entry.
func (l *lister) ownFolders(p put) {
	if p.uid == 0 && p.gid == 0 {
		return
	}
	for dir := path.Dir(p.path); len(dir) > len(p.folder) && !l.owned[dir]; dir = path.Dir(dir) {
		l.ownFolder(p, dir)
	}
	if p.ownFolder && !l.owned[p.folder] {
		l.ownFolder(p, p.folder)
	}
}

func (l *lister) ownFolder(p put, path string) {
	l.owned[path] = true
	l.add(p.implied(path))
}

// implied is the entry of a directory that nobody named.
func (p *put) implied(path string) Entry {
	e := Entry{path: path, dir: true, Attributes: p.Attributes, implied: true}
	e.Mode, e.xattrs = dirMode, nil
	return e
}

// output adds what an action made that is not a tree: a file, or a symbolic link
// that the rule wanted to be one. Before Bazel 8 nobody says which. A link that
// leads nowhere, to a directory, or out of the build can only be one of those;
// any other may also be what an action made in the place of a file, and is kept if
// it leads to the same thing in the image.
func (l *lister) output(p put) error {
	text, at, err := l.build.link(p.source)
	if err != nil {
		return err
	}
	switch {
	case text == "":
		l.add(p.entry(p.path, p.source))
		return nil
	case filepath.IsAbs(text):
		if !l.build.holds(text) {
			l.add(p.link(p.path, text))
			return nil
		}
		l.add(p.entry(p.path, p.source))
		return nil
	}
	info, err := os.Stat(at)
	if leadsNowhere(err) || err == nil && info.IsDir() {
		l.add(p.link(p.path, text))
		return nil
	}
	if err != nil {
		return err
	}
	e := p.entry(p.path, p.source)
	e.link = text
	l.add(e)
	return nil
}

// leadsNowhere tells whether that is what following a link failed for.
func leadsNowhere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENOTDIR)
}

// settleLinks decides about links that stand for their content unless they lead to
// it in the image too.
func settleLinks(entries []Entry) []Entry {
	var places map[string]string // source by path
	for i, e := range entries {
		if e.link == "" || e.source == "" {
			continue
		}
		if places == nil {
			places = make(map[string]string, len(entries))
			for _, e := range entries {
				places[path.Join("/", e.path)] = e.source
			}
		}
		if isSame(places[path.Join("/", path.Dir(e.path), e.link)], e.source) {
			entries[i].source, entries[i].Mode, entries[i].xattrs = "", 0, nil
		} else {
			entries[i].link = ""
		}
	}
	return entries
}

// isSame tells whether two sources are one file.
func isSame(a, b string) bool {
	if a == "" {
		return false
	}
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}
