package architecture

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// typed is a module's own packages with their types. Others' come from what the
// compiler left of them.
type typed struct {
	module
	fset     *token.FileSet
	packages map[string]*types.Package
	// files are those that are compiled into programs.
	files map[string][]*ast.File
	defs  map[string]map[*ast.Ident]types.Object
	// uses are what the files of a package refer to, its tests' included. External tests
	// are a package of their own.
	uses map[string][]types.Object
	// literals are the interfaces that functions spell out.
	literals []types.Type
	foreign  types.Importer
}

// externalTests ends the path of a package of tests beside the package that they test.
const externalTests = "_test"

// typecheck reads all of the module's packages, those that they import first.
func typecheck(t *testing.T, m module) *typed {
	t.Helper()
	exports := exportsOf(t, m)
	c := &typed{
		module: m, fset: token.NewFileSet(), packages: map[string]*types.Package{},
		files: map[string][]*ast.File{}, defs: map[string]map[*ast.Ident]types.Object{}, uses: map[string][]types.Object{},
	}
	c.foreign = importer.ForCompiler(c.fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("go list says nothing of %s", path)
		}
		return os.Open(exports[path])
	})
	for _, path := range m.ours() {
		c.check(t, path)
	}
	for _, path := range m.ours() {
		p := m.packages[path]
		// Names that only the package's own tests see are errors here, and not of interest.
		if len(p.TestGoFiles) > 0 {
			c.use(path, append(slices.Clone(c.files[path]), c.parse(t, p.Dir, p.TestGoFiles)...), nil)
		}
		if len(p.XTestGoFiles) > 0 {
			c.use(path+externalTests, c.parse(t, p.Dir, p.XTestGoFiles), nil)
		}
	}
	return c
}

// exportsOf are the files that tell what is in the packages of others.
func exportsOf(t *testing.T, m module) map[string]string {
	t.Helper()
	wanted := map[string]bool{}
	for _, path := range m.ours() {
		p := m.packages[path]
		for _, to := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if m.folder(to) == "" && to != "C" && to != "unsafe" {
				wanted[to] = true
			}
		}
	}
	exports := map[string]string{}
	for _, p := range list(t, m.dir, append([]string{"-deps", "-export"}, slices.Sorted(maps.Keys(wanted))...)...) {
		exports[p.ImportPath] = p.Export
	}
	return exports
}

// check reads a package that programs are built of.
func (c *typed) check(t *testing.T, path string) *types.Package {
	t.Helper()
	if known := c.packages[path]; known != nil {
		return known
	}
	p := c.module.packages[path]
	for _, to := range p.Imports {
		if c.folder(to) != "" {
			c.check(t, to)
		}
	}
	c.files[path] = c.parse(t, p.Dir, slices.Concat(p.GoFiles, p.CgoFiles))
	c.defs[path] = map[*ast.Ident]types.Object{}
	var first error
	c.packages[path] = c.use(path, c.files[path], func(err error) {
		if first == nil {
			first = err
		}
	})
	if first != nil {
		t.Fatalf("read %s: %v", c.folder(path), first)
	}
	return c.packages[path]
}

// use notes what files of a folder refer to.
func (c *typed) use(path string, files []*ast.File, failed func(error)) *types.Package {
	info := types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}
	if failed == nil {
		failed = func(error) {}
	} else {
		info.Defs = c.defs[path]
	}
	config := types.Config{Importer: c, Error: failed, FakeImportC: true}
	checked, _ := config.Check(path, c.fset, files, &info)
	for _, object := range info.Uses {
		c.uses[path] = append(c.uses[path], origin(object))
	}
	for expression, found := range info.Types {
		switch expression := expression.(type) {
		case *ast.InterfaceType:
			c.literals = append(c.literals, found.Type)
		case *ast.CallExpr: // a conversion of a struct sets all fields
			if to := info.Types[expression.Fun]; to.IsType() && len(expression.Args) == 1 {
				c.uses[path] = append(c.uses[path], fieldsOf(to.Type)...)
				c.uses[path] = append(c.uses[path], fieldsOf(info.Types[expression.Args[0]].Type)...)
			}
		}
	}
	return checked
}

// fieldsOf are the fields of a struct.
func fieldsOf(typ types.Type) []types.Object {
	if typ == nil {
		return nil
	}
	structure, ok := typ.Underlying().(*types.Struct)
	if !ok {
		return nil
	}
	var fields []types.Object
	for field := range structure.Fields() {
		fields = append(fields, field.Origin())
	}
	return fields
}

// Import implements [types.Importer].
func (c *typed) Import(path string) (*types.Package, error) {
	if own := c.packages[path]; own != nil {
		return own, nil
	}
	return c.foreign.Import(path)
}

func (c *typed) parse(t *testing.T, dir string, names []string) []*ast.File {
	t.Helper()
	var files []*ast.File
	for _, name := range names {
		file, err := parser.ParseFile(c.fset, filepath.Join(dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// origin is the field or function as it was declared, without the types that it was
// given.
func origin(object types.Object) types.Object {
	switch object := object.(type) {
	case *types.Var:
		return object.Origin()
	case *types.Func:
		return object.Origin()
	}
	return object
}
