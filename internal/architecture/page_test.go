package architecture

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// page is what docs/architecture.md says about imports.
type page struct {
	// order is the line that says which way imports go, from the top down. Each step
	// holds folders; the step without any holds all others.
	order     [][]string
	orderText string
	rooms     []room
}

// room is a row of the table of rooms.
type room struct {
	line    int
	folders []string
	never   []ban
}

// ban is one entry of the column "never knows of".
type ban struct {
	text     string
	packages []string
}

const (
	roomsHeader = "folder | holds | never knows of"
	wordsHeader = "words | stand for"
)

var (
	code      = regexp.MustCompile("`([^`]+)`")
	codeAlone = regexp.MustCompile("^`([^`]+)`$")
)

// parsePage reads the page. Its problems are sentences, one for each thing that cannot
// be read.
func parsePage(text string) (page, []string) {
	p := page{}
	words := map[string][]string{}
	var problems []string
	type rawRoom struct {
		room
		never string
	}
	var raw []rawRoom
	header := ""
	for n, line := range strings.Split(text, "\n") {
		if order, _, found := strings.Cut(line, ". "); found && strings.HasPrefix(line, "Imports go one way: ") {
			p.orderText = strings.TrimPrefix(order, "Imports go one way: ")
			for step := range strings.SplitSeq(p.orderText, "→") {
				p.order = append(p.order, codes(step))
			}
		}
		cells, ok := tableRow(line)
		switch {
		case !ok:
			header = ""
		case header == "":
			header = strings.Join(cells, " | ")
		case strings.HasPrefix(cells[0], "---"):
		case header == roomsHeader && len(cells) == 3:
			raw = append(raw, rawRoom{room{line: n + 1, folders: folders(cells[0])}, cells[2]})
		case header == wordsHeader && len(cells) == 2:
			words[cells[0]] = codes(cells[1])
		}
	}
	if len(p.order) == 0 {
		problems = append(problems, "no line begins with “Imports go one way: ”")
	}
	if len(raw) == 0 {
		problems = append(problems, "no table has the columns “"+roomsHeader+"”")
	}
	unused := maps.Clone(words)
	for _, r := range raw {
		for text := range strings.SplitSeq(r.never, ", ") {
			if text == "" {
				continue
			}
			delete(unused, text)
			if name := codeAlone.FindStringSubmatch(text); name != nil {
				r.room.never = append(r.room.never, ban{name[1], name[1:]})
			} else if len(words[text]) > 0 {
				r.room.never = append(r.room.never, ban{text, words[text]})
			} else {
				problems = append(problems, fmt.Sprintf("line %d: “%s” must be a package in backticks, or a word of the table “%s”", r.line, text, wordsHeader))
			}
		}
		p.rooms = append(p.rooms, r.room)
	}
	for _, word := range slices.Sorted(maps.Keys(unused)) {
		problems = append(problems, fmt.Sprintf("the word “%s” is explained, and no row uses it", word))
	}
	return p, problems
}

// folders are those that a row's first cell names. One that has no parent stands in the
// folder of the first: `internal/bazel/`, `clock/`.
func folders(cell string) []string {
	names := codes(cell)
	for i, name := range names {
		name = strings.TrimSuffix(name, "/")
		if i > 0 && !strings.Contains(name, "/") {
			name = names[0][:strings.LastIndex(names[0], "/")+1] + name
		}
		names[i] = name
	}
	return names
}

func codes(text string) []string {
	var names []string
	for _, match := range code.FindAllStringSubmatch(text, -1) {
		names = append(names, match[1])
	}
	return names
}

func tableRow(line string) (cells []string, ok bool) {
	if !strings.HasPrefix(line, "|") {
		return nil, false
	}
	for cell := range strings.SplitSeq(strings.Trim(strings.TrimSpace(line), "|"), "|") {
		cells = append(cells, strings.TrimSpace(cell))
	}
	return cells, true
}
