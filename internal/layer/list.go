package layer

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxLine bounds one line of a list, in bytes.
const maxLine = 256 << 10

// ReadList reads the entries of a layer, one a line, fields parted by tabs:
//
//	file  MODE  PATH  SOURCE     a regular file, or what SOURCE holds if it is a directory
//	empty MODE  PATH             a regular file without content
//	link  PATH  TARGET           a symbolic link
//	dir   MODE  PATH             a directory
//
// MODE is octal. Further fields are attributes: uid=N, gid=N, mtime=TIME,
// xattr:NAME=VALUE. It is the form in which the image_layer rule hands its
// sources to the action.
func ReadList(r io.Reader) ([]Entry, error) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	var entries []Entry
	for n := 1; scanner.Scan(); n++ {
		if scanner.Text() == "" {
			continue
		}
		more, err := readLine(strings.Split(scanner.Text(), "\t"))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		entries = append(entries, more...)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read list of files: %w", err)
	}
	return entries, nil
}

func readLine(fields []string) ([]Entry, error) {
	want := map[string]int{"file": 4, "empty": 3, "link": 3, "dir": 3}[fields[0]]
	if want == 0 {
		return nil, fmt.Errorf("%q is not file, empty, link or dir", fields[0])
	}
	if len(fields) < want {
		return nil, fmt.Errorf("%s has %d fields where %d are due", fields[0], len(fields), want)
	}
	var a Attributes
	for _, field := range fields[want:] {
		if err := a.set(field); err != nil {
			return nil, err
		}
	}
	if fields[0] == "link" {
		return []Entry{{Path: fields[1], Link: fields[2], Attributes: a}}, nil
	}
	var err error
	if a.Mode, err = ParseMode(fields[1]); err != nil {
		return nil, err
	}
	switch fields[0] {
	case "dir":
		return []Entry{{Path: fields[2], Dir: true, Attributes: a}}, nil
	case "empty":
		return []Entry{{Path: fields[2], Attributes: a}}, nil
	}
	entries, err := fileOrTree(Entry{Path: fields[2], Source: fields[3], Attributes: a})
	if err != nil {
		return nil, fmt.Errorf("source of %s: %w", fields[2], err)
	}
	return entries, nil
}

// fileOrTree is the entry itself if its source is a file, and one for each thing
// below the source if it is a directory. Directories have the usual mode: that of
// the entry is for files.
func fileOrTree(e Entry) ([]Entry, error) {
	info, err := os.Stat(e.Source)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []Entry{e}, nil
	}
	dir := func(path string) Entry {
		d := Entry{Path: path, Dir: true, Attributes: e.Attributes}
		d.Mode, d.Xattrs = DirMode, nil
		return d
	}
	entries := []Entry{dir(e.Path)}
	err = filepath.WalkDir(e.Source, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == e.Source {
			return err
		}
		below, err := filepath.Rel(e.Source, name)
		if err != nil {
			return err
		}
		path := e.Path + "/" + filepath.ToSlash(below)
		switch {
		case d.IsDir():
			entries = append(entries, dir(path))
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			// A sandbox makes links of files: what they point to is what is meant.
			info, err := os.Stat(name)
			if err != nil {
				return err
			}
			if info.IsDir() {
				return fmt.Errorf("%s is a link to a directory, which cannot be told from one that the sandbox made", name)
			}
		}
		entries = append(entries, Entry{Path: path, Source: name, Attributes: e.Attributes})
		return nil
	})
	return entries, err
}
