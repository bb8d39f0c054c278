package architecture

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// An exported name promises that somebody else needs it: one that only its own folder
// uses, its tests included, must not be exported.
//
// What counts: the functions, types, variables and constants of a package, the methods
// of its types, and the fields of its exported structs. A use is one in another folder,
// be it in a test. A type is used, too, where the declaration of a name that is used
// names it.
//
// What does not: a method that an interface asks for, of whatever package; a field with
// a tag, which a decoder finds by its tag, or that is embedded; the other constants of a
// list of which one is used; what the pages (*.html) of the folder name; and generated
// code. The public packages, and what is for tests, may offer what they like.
func TestWhatIsExportedIsUsedElsewhere(t *testing.T) {
	if testing.Short() {
		t.Skip("reads the whole module")
	}
	m := load(t, filepath.Join("..", ".."))
	for _, problem := range exportedInVain(t, m, []string{"bes", "pushspec", "proto"}) {
		t.Error(problem)
	}
}

// exportedName is one that others could use.
type exportedName struct {
	object types.Object
	text   string
	// block is the list of constants that it stands in.
	block *ast.GenDecl
}

// exportedInVain are sentences about the names that nobody needs.
func exportedInVain(t *testing.T, m module, public []string) []string {
	t.Helper()
	c := typecheck(t, m)
	used := c.usedElsewhere()
	words := c.wordsElsewhere(t)
	interfaces := c.interfaces()
	var problems []string
	for _, path := range m.ours() {
		folder := m.folder(path)
		if forTests(folder) || slices.ContainsFunc(public, func(name string) bool { return within(folder, name) }) {
			continue
		}
		pages := wordsOfPages(t, m.packages[path].Dir)
		for _, n := range c.unused(path, used, interfaces) {
			if pages[n.object.Name()] || words[n.object.Name()] {
				continue
			}
			at := c.fset.Position(n.object.Pos())
			problems = append(problems, fmt.Sprintf("%s/%s:%d: nobody outside %s uses %s: do not export it, or delete it",
				folder, filepath.Base(at.Filename), at.Line, folder, n.text))
		}
	}
	return problems
}

// usedElsewhere are the objects that a folder other than their own refers to.
func (c *typed) usedElsewhere() map[types.Object]bool {
	used := map[types.Object]bool{}
	for path, objects := range c.uses {
		for _, object := range objects {
			if object.Pkg() != nil && object.Pkg().Path() != path && !inner(object, path) {
				used[object] = true
			}
		}
	}
	return used
}

// inner tells whether the tests beside a package use what is not there for others. They
// may set the fields that stand for a clock and the like.
func inner(object types.Object, path string) bool {
	field, ok := object.(*types.Var)
	return object.Pkg().Path()+externalTests == path && (!ok || !field.IsField())
}

// unused are a package's exported names that nobody needs.
func (c *typed) unused(path string, used map[types.Object]bool, interfaces []asked) []exportedName {
	names := c.exported(path)
	needed := map[types.Object]bool{}
	blocks := map[*ast.GenDecl]bool{}
	for _, n := range names {
		if used[n.object] || c.satisfies(n.object, interfaces) {
			need(n.object, needed)
			blocks[n.block] = n.block != nil
		}
	}
	var unused []exportedName
	for _, n := range names {
		if !needed[n.object] && !blocks[n.block] {
			unused = append(unused, n)
		}
	}
	return unused
}

// need notes that a name is needed, and the types of its package that its declaration
// names.
func need(object types.Object, needed map[types.Object]bool) {
	if needed[object] {
		return
	}
	needed[object] = true
	typesNamed(object.Type(), object, func(other *types.TypeName) {
		if other.Pkg() == object.Pkg() {
			need(other, needed)
		}
	})
}

// typesNamed calls named for each type in the declaration of an object.
func typesNamed(typ types.Type, object types.Object, named func(*types.TypeName)) {
	visit := func(typ types.Type) { typesNamed(typ, nil, named) }
	switch typ := typ.(type) {
	case *types.Named:
		if object != typ.Obj() {
			named(typ.Obj())
			for argument := range typ.TypeArgs().Types() {
				visit(argument)
			}
			return
		}
		visit(typ.Underlying())
	case *types.Struct:
		for n := range typ.NumFields() {
			if field := typ.Field(n); field.Embedded() || typ.Tag(n) != "" {
				visit(field.Type()) // other fields count for themselves
			}
		}
	case *types.Alias:
		named(typ.Obj())
		visit(types.Unalias(typ))
	case *types.Signature:
		for v := range typ.Params().Variables() {
			visit(v.Type())
		}
		for v := range typ.Results().Variables() {
			visit(v.Type())
		}
	case *types.Interface:
		for method := range typ.ExplicitMethods() {
			visit(method.Type())
		}
		for embedded := range typ.EmbeddedTypes() {
			visit(embedded)
		}
	case *types.Map:
		visit(typ.Key())
		visit(typ.Elem())
	case interface{ Elem() types.Type }: // pointers, slices, arrays, channels
		visit(typ.Elem())
	}
}

// exported are a package's exported names, in the order of its files.
func (c *typed) exported(path string) []exportedName {
	var names []exportedName
	for _, file := range c.files[path] {
		if ast.IsGenerated(file) {
			continue
		}
		for _, declaration := range file.Decls {
			switch declaration := declaration.(type) {
			case *ast.FuncDecl:
				names = append(names, c.function(path, declaration)...)
			case *ast.GenDecl:
				names = append(names, c.declared(path, declaration)...)
			}
		}
	}
	return names
}

func (c *typed) function(path string, declaration *ast.FuncDecl) []exportedName {
	if !declaration.Name.IsExported() {
		return nil
	}
	object := c.defs[path][declaration.Name]
	text := object.Name()
	if receiver := object.Type().(*types.Signature).Recv(); receiver != nil {
		text = types.TypeString(receiver.Type(), func(*types.Package) string { return "" }) + "." + text
	}
	return []exportedName{{object, text, nil}}
}

func (c *typed) declared(path string, declaration *ast.GenDecl) []exportedName {
	var names []exportedName
	for _, spec := range declaration.Specs {
		switch spec := spec.(type) {
		case *ast.ValueSpec:
			var block *ast.GenDecl
			if declaration.Tok == token.CONST && declaration.Lparen.IsValid() && isNamed(c.defs[path][spec.Names[0]].Type()) {
				block = declaration
			}
			for _, ident := range spec.Names {
				if ident.IsExported() {
					names = append(names, exportedName{c.defs[path][ident], ident.Name, block})
				}
			}
		case *ast.TypeSpec:
			if !spec.Name.IsExported() {
				continue
			}
			names = append(names, exportedName{c.defs[path][spec.Name], spec.Name.Name, nil})
			if structure, ok := spec.Type.(*ast.StructType); ok {
				names = append(names, c.fields(path, spec.Name.Name, structure)...)
			}
		}
	}
	return names
}

func isNamed(typ types.Type) bool {
	_, named := typ.(*types.Named)
	return named
}

func (c *typed) fields(path, of string, structure *ast.StructType) []exportedName {
	var names []exportedName
	for _, field := range structure.Fields.List {
		if field.Tag != nil && reflect.StructTag(strings.Trim(field.Tag.Value, "`")) != "" {
			continue
		}
		for _, ident := range field.Names {
			if ident.IsExported() {
				names = append(names, exportedName{c.defs[path][ident], of + "." + ident.Name, nil})
			}
		}
	}
	return names
}

// wordsElsewhere are the names that files for other systems select: they are not
// compiled here.
func (c *typed) wordsElsewhere(t *testing.T) map[string]bool {
	t.Helper()
	words := map[string]bool{}
	for _, path := range c.ours() {
		p := c.module.packages[path]
		for _, file := range c.parse(t, p.Dir, p.IgnoredGoFiles) {
			ast.Inspect(file, func(n ast.Node) bool {
				if selector, ok := n.(*ast.SelectorExpr); ok {
					words[selector.Sel.Name] = true
				}
				return true
			})
		}
	}
	return words
}

var pageWord = regexp.MustCompile(`\.([A-Z]\w*)`)

// wordsOfPages are the fields and methods that a folder's templates name.
func wordsOfPages(t *testing.T, dir string) map[string]bool {
	t.Helper()
	words := map[string]bool{}
	pages, err := filepath.Glob(filepath.Join(dir, "*", "*.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range pageWord.FindAllStringSubmatch(string(text), -1) {
			words[match[1]] = true
		}
	}
	return words
}
