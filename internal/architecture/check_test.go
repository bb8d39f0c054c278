package architecture

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// check compares a module with its page. Each problem is a sentence.
func check(m module, p page) []string {
	return slices.Concat(checkNames(m, p), checkOrder(m, p), checkBans(m, p))
}

// ours are the module's packages, in the order of their folders.
func (m module) ours() []string {
	var paths []string
	for _, path := range slices.Sorted(maps.Keys(m.packages)) {
		if m.folder(path) != "" {
			paths = append(paths, path)
		}
	}
	return paths
}

// checkNames holds that the table names every folder with Go code, and that there is
// whatever it names.
func checkNames(m module, p page) []string {
	var problems []string
	named := map[string]bool{}
	for _, r := range p.rooms {
		for _, folder := range r.folders {
			if named[folder] {
				problems = append(problems, fmt.Sprintf("line %d names `%s/`, which another row names too: make one row of them", r.line, folder))
			}
			named[folder] = true
			if _, err := os.Stat(filepath.Join(m.dir, folder)); err != nil {
				problems = append(problems, fmt.Sprintf("line %d names `%s/`, and there is no such folder: delete it from the table", r.line, folder))
			}
		}
		for _, b := range r.never {
			for _, name := range b.packages {
				if !m.has(name) {
					problems = append(problems, fmt.Sprintf("line %d forbids `%s`, of which nothing here is built: correct or delete the name", r.line, name))
				}
			}
		}
	}
	for _, path := range m.ours() {
		if folder := m.folder(path); !m.covered(folder, named) {
			problems = append(problems, fmt.Sprintf("no row names `%s/`: add a row that says what it holds, and what it never knows of", folder))
		}
	}
	return problems
}

// everything is the name of all packages of the module.
const everything = "./..."

// has tells whether there is a package of that name, or below it.
func (m module) has(name string) bool {
	resolved := m.resolve(name)
	for path := range m.packages {
		if within(path, resolved) {
			return true
		}
	}
	return name == everything
}

// covered tells whether a folder is named. A folder without Go code stands for all below
// it, and any folder for its tests' helpers.
func (m module) covered(folder string, named map[string]bool) bool {
	if named[folder] {
		return true
	}
	for parent := filepath.Dir(folder); parent != "."; parent = filepath.Dir(parent) {
		if _, code := m.packages[m.path+"/"+parent]; named[parent] && (!code || forTests(folder)) {
			return true
		}
	}
	return false
}

// checkOrder holds that imports go from the top down, and that nobody but tests imports
// what is for tests.
func checkOrder(m module, p page) []string {
	var problems []string
	for _, from := range m.ours() {
		if forTests(m.folder(from)) {
			continue
		}
		for _, to := range m.packages[from].Imports {
			folder := m.folder(to)
			if folder == "" {
				continue
			}
			if forTests(folder) {
				problems = append(problems, fmt.Sprintf("%s imports %s, which is for tests alone", m.statement(from, to), folder))
			}
			if p.step(folder) < p.step(m.folder(from)) {
				problems = append(problems, fmt.Sprintf("%s imports %s, which is above it: imports go one way, %s. Move what it needs down, or hand it in",
					m.statement(from, to), folder, strings.ReplaceAll(p.orderText, "`", "")))
			}
		}
	}
	return problems
}

// step is a folder's place in the order, from the top.
func (p page) step(folder string) int {
	others := 0
	for n, names := range p.order {
		if len(names) == 0 {
			others = n
		}
		if slices.ContainsFunc(names, func(name string) bool { return within(folder, name) }) {
			return n
		}
	}
	return others
}

// checkBans holds that no room knows of what its row forbids.
func checkBans(m module, p page) []string {
	var problems []string
	for _, r := range p.rooms {
		for _, folder := range r.folders {
			for _, from := range m.ours() {
				if m.room(from, p) != folder || forTests(m.folder(from)) {
					continue
				}
				for _, b := range r.never {
					for _, name := range b.packages {
						if chain := m.chain(from, m.forbidden(name, folder)); chain != nil {
							problems = append(problems, m.sentence(chain, r.line, folder, b.text))
						}
					}
				}
			}
		}
	}
	return problems
}

// room is the folder of the table that a package belongs to: the nearest.
func (m module) room(path string, p page) string {
	nearest := ""
	for _, r := range p.rooms {
		for _, folder := range r.folders {
			if within(m.folder(path), folder) && len(folder) > len(nearest) {
				nearest = folder
			}
		}
	}
	return nearest
}

// forbidden tells which packages a name stands for. What is in the room itself is never
// forbidden to it.
func (m module) forbidden(name, room string) func(path string) bool {
	resolved := m.resolve(name)
	if name == everything {
		resolved = m.path
	}
	return func(path string) bool {
		return within(path, resolved) && !within(path, m.path+"/"+room)
	}
}

// chain is the shortest way by which a package knows of a forbidden one: through other
// rooms, and through modules of others. A package of Go's own library counts only where
// a room imports it: what those modules do with it is their affair.
func (m module) chain(from string, forbidden func(path string) bool) []string {
	ways := [][]string{{from}}
	seen := map[string]bool{from: true}
	for len(ways) > 0 {
		way := ways[0]
		ways = ways[1:]
		last := way[len(way)-1]
		for _, to := range m.packages[last].Imports {
			standard := m.packages[to].Standard
			if seen[to] || standard && m.folder(last) == "" {
				continue
			}
			next := append(slices.Clone(way), to)
			if forbidden(to) {
				return next
			}
			if !standard {
				seen[to] = true
				ways = append(ways, next)
			}
		}
	}
	return nil
}

// sentence says which import is against which row, and how the room comes to it.
func (m module) sentence(chain []string, line int, room, word string) string {
	last := 0 // the last of the way's packages that is ours and imports the next
	for n, path := range chain[:len(chain)-1] {
		if m.folder(path) != "" {
			last = n
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s imports %s", m.statement(chain[last], chain[last+1]), m.short(chain[last+1]))
	if end := len(chain) - 1; end > last+1 {
		fmt.Fprintf(&text, ", which brings in %s", chain[end])
	}
	if last > 0 {
		var way []string
		for _, path := range chain[:last+1] {
			way = append(way, m.short(path))
		}
		fmt.Fprintf(&text, " (%s)", strings.Join(way, " → "))
	}
	fmt.Fprintf(&text, ": line %d says that %s/ never knows of %s. Move that code to a room that may, or hand in what it needs", line, room, word)
	return text.String()
}

// short is a package's folder, or the path of one that is not ours.
func (m module) short(path string) string {
	if folder := m.folder(path); folder != "" {
		return folder
	}
	return path
}
