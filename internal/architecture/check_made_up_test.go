package architecture

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// madeUpPage is the page of a module of four rooms.
const madeUpPage = "Imports go one way: `cmd` → the features → `plain`. Nothing else.\n" + `
| words | stand for |
| --- | --- |
| everything | ` + "`./...`" + ` |
| the network | ` + "`net/http`, `example.com/other/wire`" + ` |

| folder | holds | never knows of |
| --- | --- | --- |
| ` + "`cmd/`" + ` | programs | |
| ` + "`internal/kitchen/`" + ` | meals | the network |
| ` + "`internal/salt/`, `pepper/`" + ` | spices | ` + "`internal/kitchen`" + ` |
| ` + "`plain/`" + ` | flour | everything |
`

// madeUpModule is a module that is as the page says, and another module that it uses.
func madeUpModule() map[string]string {
	return map[string]string{
		"go.mod":                     "module example.com/house\n\ngo 1.26\n\nrequire example.com/other v1.0.0\n\nreplace example.com/other => ./other\n",
		"other/go.mod":               "module example.com/other\n\ngo 1.26\n",
		"other/wire/wire.go":         "package wire\n\nimport _ \"net/http\"\n",
		"other/phone/phone.go":       "package phone\n\nimport _ \"example.com/other/wire\"\n",
		"other/clock/clock.go":       "package clock\n\nimport _ \"net/http\"\n",
		"cmd/cook/main.go":           imports("main", "example.com/house/internal/kitchen", "example.com/other/wire"),
		"internal/kitchen/cook.go":   imports("kitchen", "example.com/house/internal/salt", "example.com/house/plain", "example.com/other/clock"),
		"internal/salt/salt.go":      imports("salt"),
		"internal/pepper/pepper.go":  imports("pepper"),
		"internal/pepper/bench/b.go": imports("bench", "net/http", "example.com/house/internal/kitchen"),
		"plain/flour.go":             imports("plain"),
	}
}

func imports(name string, paths ...string) string {
	text := "package " + name + "\n\n"
	for _, path := range paths {
		text += "import _ \"" + path + "\"\n"
	}
	return text
}

// problemsOf writes a module and tells what is against the page in it.
func problemsOf(t *testing.T, files map[string]string, text string) []string {
	t.Helper()
	dir := write(t, files)
	p, problems := parsePage(text)
	return append(problems, check(load(t, dir), p)...)
}

// write writes files below a new folder.
func write(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAModuleThatIsAsItsPageSaysHasNoProblems(t *testing.T) {
	if problems := problemsOf(t, madeUpModule(), madeUpPage); len(problems) > 0 {
		t.Errorf("got %q", problems)
	}
}

func TestAnImportAgainstThePageIsTold(t *testing.T) {
	for name, row := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"a package of Go's own": {
			map[string]string{"internal/kitchen/oven.go": imports("kitchen", "net/http")},
			[]string{"internal/kitchen/oven.go:3 imports net/http: line 11 says that internal/kitchen/ never knows of the network. " +
				"Move that code to a room that may, or hand in what it needs"},
		},
		"through another room": {
			map[string]string{"internal/salt/mill.go": imports("salt", "example.com/other/wire")},
			[]string{"internal/salt/mill.go:3 imports example.com/other/wire (internal/kitchen → internal/salt): " +
				"line 11 says that internal/kitchen/ never knows of the network. Move that code to a room that may, or hand in what it needs"},
		},
		"through another module": {
			map[string]string{"internal/kitchen/call.go": imports("kitchen", "example.com/other/phone")},
			[]string{"internal/kitchen/call.go:3 imports example.com/other/phone, which brings in example.com/other/wire: " +
				"line 11 says that internal/kitchen/ never knows of the network. Move that code to a room that may, or hand in what it needs"},
		},
		"by the second folder of a row": {
			map[string]string{"internal/pepper/mill.go": imports("pepper", "example.com/house/internal/kitchen")},
			[]string{"internal/pepper/mill.go:3 imports internal/kitchen: line 12 says that internal/pepper/ never knows of internal/kitchen. " +
				"Move that code to a room that may, or hand in what it needs"},
		},
		"from below, of everything": {
			map[string]string{"plain/sieve.go": imports("plain", "example.com/house/internal/pepper")},
			[]string{
				"plain/sieve.go:3 imports internal/pepper, which is above it: imports go one way, cmd → the features → plain. " +
					"Move what it needs down, or hand it in",
				"plain/sieve.go:3 imports internal/pepper: line 13 says that plain/ never knows of everything. " +
					"Move that code to a room that may, or hand in what it needs",
			},
		},
		"of what is for tests": {
			map[string]string{"cmd/cook/try.go": imports("main", "example.com/house/internal/pepper/peppertest"), "internal/pepper/peppertest/p.go": imports("peppertest")},
			[]string{"cmd/cook/try.go:3 imports internal/pepper/peppertest, which is for tests alone"},
		},
		"by a test": {
			map[string]string{"internal/kitchen/cook_test.go": imports("kitchen", "net/http")},
			nil,
		},
		"a room that no row names": {
			map[string]string{"internal/cellar/wine.go": imports("cellar")},
			[]string{"no row names `internal/cellar/`: add a row that says what it holds, and what it never knows of"},
		},
		"a room in a room that no row names": {
			map[string]string{"internal/salt/sea/water.go": imports("sea")},
			[]string{"no row names `internal/salt/sea/`: add a row that says what it holds, and what it never knows of"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := madeUpModule()
			maps.Copy(files, row.files)
			if got := problemsOf(t, files, madeUpPage); !slices.Equal(got, row.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(row.want, "\n\t"))
			}
		})
	}
}

func TestAPageThatCannotBeHeldToIsTold(t *testing.T) {
	for name, row := range map[string]struct{ old, now, want string }{
		"a word without a meaning":    {"meals | the network", "meals | the wires", "line 11: “the wires” must be a package in backticks, or a word of the table “words | stand for”"},
		"a meaning without a use":     {"meals | the network", "meals | ", "the word “the network” is explained, and no row uses it"},
		"a folder that is gone":       {"| `cmd/`", "| `cmd/`, `internal/cellar/`", "line 10 names `internal/cellar/`, and there is no such folder: delete it from the table"},
		"a folder in two rows":        {"| `plain/`", "| `internal/salt/`, `plain/`", "line 13 names `internal/salt/`, which another row names too: make one row of them"},
		"a package that nobody uses":  {"`example.com/other/wire`", "`example.com/other/wires`", "line 11 forbids `example.com/other/wires`, of which nothing here is built: correct or delete the name"},
		"no direction of the imports": {"Imports go one way", "Imports go any way", "no line begins with “Imports go one way: ”"},
		"no table of rooms":           {"| folder |", "| directory |", "no table has the columns “folder | holds | never knows of”"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(madeUpPage, row.old, row.now, 1)
			if text == madeUpPage {
				t.Fatalf("the page does not say %q", row.old)
			}
			if got := problemsOf(t, madeUpModule(), text); !slices.Contains(got, row.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), row.want)
			}
		})
	}
}
