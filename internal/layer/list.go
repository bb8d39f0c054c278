package layer

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// maxLine bounds one line of a list, in bytes.
const maxLine = 256 << 10

// ReadList reads the entries of a layer, one a line, fields parted by tabs:
//
//	put    MODE FOLDER KIND NAME SOURCE   what SOURCE holds, at FOLDER/NAME
//	link   PATH TARGET                    a symbolic link
//	dir    MODE PATH                      a directory
//	remove PATH                           the end of what the layers below have at PATH; with a slash at its end, of what they have in it
//	mode   MODE PATTERN                   the mode of files whose paths match
//
// KIND says what the source is: "file" is a file or a directory of the sources,
// "tree" a directory that an action made, "output" another thing that an action
// made, "symlink" a symbolic link, and "empty" an empty file, which has no source.
//
// MODE is octal. A question mark after it says that mode lines win over it.
// Further fields are attributes: uid=N, gid=N, mtime=TIME, xattr:NAME=VALUE; of a
// put also strip=PREFIX, which NAME then begins with, and own=folder, which gives
// the folder the owner of what is in it.
//
// It is the form in which the image_layer rule hands its sources to the action.
func ReadList(r io.Reader) ([]Entry, error) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	l := lister{build: newBuild(), owned: map[string]bool{}}
	for n := 1; scanner.Scan(); n++ {
		if scanner.Text() == "" {
			continue
		}
		if err := l.line(strings.Split(scanner.Text(), "\t")); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read list of files: %w", err)
	}
	if err := l.applyModes(); err != nil {
		return nil, err
	}
	return settleLinks(l.entries), nil
}

// lister gathers the entries of a list.
type lister struct {
	entries  []Entry
	patterns []modePattern
	build    *build
	// owned are the folders that have an entry for the sake of their owner.
	owned map[string]bool
}

func (l *lister) add(e Entry) { l.entries = append(l.entries, e) }

// fieldsOf is how many fields a line has by its first one, attributes not counted.
var fieldsOf = map[string]int{"put": 6, "link": 3, "dir": 3, "remove": 2, "mode": 3}

func (l *lister) line(fields []string) error {
	want := fieldsOf[fields[0]]
	if want == 0 {
		return fmt.Errorf("%q must be put, link, dir, remove or mode", fields[0])
	}
	if len(fields) < want {
		return fmt.Errorf("%s has %d fields, but must have %d", fields[0], len(fields), want)
	}
	p := put{}
	for _, field := range fields[want:] {
		if err := p.set(field); err != nil {
			return err
		}
	}
	var err error
	switch fields[0] {
	case "link":
		l.add(Entry{path: fields[1], link: fields[2], Attributes: p.Attributes})
		return nil
	case "remove":
		l.add(whiteout(fields[1]))
		return nil
	}
	if p.Mode, p.open, err = parseOpenMode(fields[1]); err != nil {
		return err
	}
	switch fields[0] {
	case "dir":
		l.add(Entry{path: fields[2], dir: true, Attributes: p.Attributes})
		return nil
	case "mode":
		return l.addPattern(fields[2], p.Mode)
	}
	p.folder, p.kind, p.source = fields[2], fields[3], fields[5]
	if p.path, err = p.at(fields[4]); err != nil {
		return err
	}
	if err := l.put(p); err != nil {
		return fmt.Errorf("source of %s: %w", p.path, err)
	}
	return nil
}
