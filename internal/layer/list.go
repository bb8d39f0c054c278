package layer

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxLine bounds one line of a list, in bytes.
const maxLine = 64 << 10

// ReadList reads the entries of a layer, one a line, fields parted by tabs:
//
//	file  MODE  PATH  SOURCE     a regular file, or what SOURCE holds if it is a directory
//	empty MODE  PATH             a regular file without content
//	link  PATH  TARGET           a symbolic link
//	dir   MODE  PATH             a directory
//
// MODE is octal. It is the form in which the image_layer rule hands its sources
// to the action.
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
	if len(fields) != want {
		return nil, fmt.Errorf("%s has %d fields where %d are due: a path may not hold a tab", fields[0], len(fields), want)
	}
	if fields[0] == "link" {
		return []Entry{{Path: fields[1], Link: fields[2], Mode: 0o777}}, nil
	}
	mode, err := ParseMode(fields[1])
	if err != nil {
		return nil, err
	}
	switch fields[0] {
	case "dir":
		return []Entry{{Path: fields[2], Dir: true, Mode: mode}}, nil
	case "empty":
		return []Entry{{Path: fields[2], Mode: mode}}, nil
	}
	return fileOrTree(fields[2], fields[3], mode)
}

// fileOrTree is one entry for a file, and one for each thing below a directory.
func fileOrTree(path, source string, mode fs.FileMode) ([]Entry, error) {
	info, err := os.Stat(source)
	if err != nil {
		return nil, fmt.Errorf("source of %s: %w", path, err)
	}
	if !info.IsDir() {
		return []Entry{{Path: path, Source: source, Mode: mode}}, nil
	}
	entries := []Entry{{Path: path, Dir: true, Mode: DirMode}}
	err = filepath.WalkDir(source, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == source {
			return err
		}
		below, err := filepath.Rel(source, name)
		if err != nil {
			return err
		}
		entry := Entry{Path: path + "/" + filepath.ToSlash(below), Source: name, Mode: mode}
		// A sandbox makes links of files: what they point to is what is meant.
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		if info.IsDir() {
			if d.Type()&fs.ModeSymlink != 0 {
				return fmt.Errorf("%s is a link to a directory, which cannot be told from one that the sandbox made", name)
			}
			entry.Source, entry.Dir, entry.Mode = "", true, DirMode
		}
		entries = append(entries, entry)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("source of %s: %w", path, err)
	}
	return entries, nil
}

// ParseMode reads octal permission bits: "0755".
func ParseMode(text string) (fs.FileMode, error) {
	bits, err := strconv.ParseUint(text, 8, 32)
	if err != nil || bits > 0o777 {
		return 0, fmt.Errorf("mode %q is not octal permission bits such as 0644", text)
	}
	return fs.FileMode(bits), nil
}
