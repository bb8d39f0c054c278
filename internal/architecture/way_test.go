package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const wayHeading = "## From a job to its row\n"

// step is a line of the way: "1. `package.Type.function` (`file`): in → out".
var step = regexp.MustCompile("^[0-9]+\\. `([a-z]+)\\.([A-Za-z.]+)` \\(`([a-z/_]+\\.go)`\\): (.+) → .+\\.$")

// started are the steps that nobody above them calls by name: a goroutine, and what was
// handed to it.
var started = []string{"store.adapter.Work", "store.batcher.loop", "store.Store.settle"}

func TestTheWayOfAJobIsTheOneThatThePageTells(t *testing.T) {
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, way, found := strings.Cut(string(page), wayHeading)
	if !found {
		t.Fatalf("the page has no section %q", wayHeading)
	}
	way, _, _ = strings.Cut(way, "\n## ")
	for _, problem := range wayProblems(root, way) {
		t.Error(problem)
	}
}

// wayProblems are sentences about what the list says and the code does not do.
func wayProblems(root, way string) []string {
	var problems []string
	seen, called := map[string]bool{}, map[string]bool{}
	for line := range strings.SplitSeq(way, "\n") {
		if line == "" || line[0] < '0' || line[0] > '9' {
			continue
		}
		match := step.FindStringSubmatch(line)
		if match == nil {
			problems = append(problems, "this line is no step of the way: "+line)
			continue
		}
		name := match[1] + "." + match[2]
		if seen[name] {
			problems = append(problems, name+" is entered twice")
		}
		seen[name] = true
		function := findFunction(filepath.Join(root, filepath.FromSlash(match[3])), match[1], match[2])
		if function == nil {
			problems = append(problems, name+" is not in "+match[3])
			continue
		}
		if n := parameters(function); n > 5 {
			problems = append(problems, name+" has more than five parameters")
		}
		if !called[function.Name.Name] && !slices.Contains(started, name) {
			problems = append(problems, name+" is called by no function above it")
		}
		noteCalls(function, called)
	}
	if len(seen) == 0 {
		problems = append(problems, "the way has no step")
	}
	return problems
}

// findFunction is the declaration of a function, or of "Type.method", in a file of a
// package; nil where there is none.
func findFunction(file, pkg, name string) *ast.FuncDecl {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil || parsed.Name.Name != pkg {
		return nil
	}
	receiver, method, isMethod := strings.Cut(name, ".")
	for _, declaration := range parsed.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		switch {
		case !ok || isMethod != (function.Recv != nil):
		case !isMethod && function.Name.Name == name, isMethod && function.Name.Name == method && receiverOf(function) == receiver:
			return function
		}
	}
	return nil
}

// receiverOf is the name of a method's type.
func receiverOf(function *ast.FuncDecl) string {
	kind := function.Recv.List[0].Type
	if pointer, ok := kind.(*ast.StarExpr); ok {
		kind = pointer.X
	}
	if generic, ok := kind.(*ast.IndexExpr); ok {
		kind = generic.X
	}
	if named, ok := kind.(*ast.Ident); ok {
		return named.Name
	}
	return ""
}

// parameters counts a function's parameters, without its context.
func parameters(function *ast.FuncDecl) int {
	n := 0
	for _, field := range function.Type.Params.List {
		if kind, ok := field.Type.(*ast.SelectorExpr); ok && kind.Sel.Name == "Context" {
			continue
		}
		n += max(1, len(field.Names))
	}
	return n
}

// noteCalls notes the names of what a function calls.
func noteCalls(function *ast.FuncDecl, called map[string]bool) {
	ast.Inspect(function, func(node ast.Node) bool {
		if call, ok := node.(*ast.CallExpr); ok {
			switch callee := call.Fun.(type) {
			case *ast.Ident:
				called[callee.Name] = true
			case *ast.SelectorExpr:
				called[callee.Sel.Name] = true
			}
		}
		return true
	})
}

// Each way is wrong in one respect; the sentence says in which.
func TestAWayThatIsWrongIsToldSo(t *testing.T) {
	folder := t.TempDir()
	source := `package store

import "context"

type Store struct{}

func (s *Store) begin(ctx context.Context) { s.next(1) }

func (s *Store) next(n int) {}

func many(ctx context.Context, a, b, c int, d, e, f string) { many(ctx, 1, 2, 3, "", "", "") }

type adapter struct{}

func (adapter) Work() { (&Store{}).begin(nil); many(nil, 1, 2, 3, "", "", "") }
`
	if err := os.WriteFile(filepath.Join(folder, "store.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	const work, begin, next = "1. `store.adapter.Work` (`store.go`): a → b.\n", "2. `store.Store.begin` (`store.go`): a → b.\n", "3. `store.Store.next` (`store.go`): a → b.\n"
	for way, want := range map[string]string{
		work + begin + next:                                "",
		work + begin + next + begin:                        "store.Store.begin is entered twice",
		work + next + begin:                                "store.Store.next is called by no function above it",
		work + "2. `store.many` (`store.go`): a → b.\n":    "store.many has more than five parameters",
		work + "2. `store.Store.end` (`store.go`): a → b.": "store.Store.end is not in store.go",
		work + "2. `store.Store.begin`: a → b":             "this line is no step of the way: 2. `store.Store.begin`: a → b",
		"no list":                                          "the way has no step",
	} {
		if got := strings.Join(wayProblems(folder, way), "; "); got != want {
			t.Errorf("the problems of\n%sare %q, want %q", way, got, want)
		}
	}
}
