package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
)

// asked is an interface that somebody may ask a value for.
type asked struct {
	*types.Interface
	// generic tells that its methods depend on types that are not known here: then their
	// names must do.
	generic bool
}

// interfaces are those of all packages, and those that the module's own functions spell
// out.
func (c *typed) interfaces() []asked {
	var all []asked
	add := func(typ types.Type, generic bool) {
		if i, ok := typ.Underlying().(*types.Interface); ok && i.NumMethods() > 0 {
			all = append(all, asked{i, generic})
		}
	}
	seen := map[*types.Package]bool{}
	var visit func(p *types.Package)
	visit = func(p *types.Package) {
		if seen[p] {
			return
		}
		seen[p] = true
		for _, text := range p.Scope().Names() {
			if object, ok := p.Scope().Lookup(text).(*types.TypeName); ok {
				named, _ := object.Type().(*types.Named)
				add(object.Type(), named != nil && named.TypeParams().Len() > 0)
			}
		}
		for _, imported := range p.Imports() {
			visit(imported)
		}
	}
	for _, p := range c.packages {
		visit(p)
	}
	for _, literal := range c.literals {
		add(literal, false)
	}
	add(types.Universe.Lookup("error").Type(), false)
	for _, typ := range wrapping() {
		add(typ, false)
	}
	return all
}

// wrapping are the methods that package errors looks for without naming an interface.
func wrapping() []types.Type {
	const source = `package errors
type one interface{ Unwrap() error }
type several interface{ Unwrap() []error }
type same interface{ Is(error) bool }
type other interface{ As(any) bool }`
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", source, 0)
	if err != nil {
		panic(err)
	}
	p, err := new(types.Config).Check("errors", fset, []*ast.File{file}, nil)
	if err != nil {
		panic(err)
	}
	var found []types.Type
	for _, text := range p.Scope().Names() {
		found = append(found, p.Scope().Lookup(text).Type())
	}
	return found
}

// satisfies tells whether a method is there because an interface asks for it.
func (c *typed) satisfies(object types.Object, interfaces []asked) bool {
	method, ok := object.(*types.Func)
	if !ok || method.Signature().Recv() == nil {
		return false
	}
	receiver := method.Signature().Recv().Type()
	return slices.ContainsFunc(interfaces, func(i asked) bool {
		if wanted, _, _ := types.LookupFieldOrMethod(i.Interface, false, nil, method.Name()); wanted == nil {
			return false
		}
		return types.Implements(receiver, i.Interface) || i.generic && hasMethods(receiver, i.Interface)
	})
}

// hasMethods tells whether a type has methods of the interface's names.
func hasMethods(typ types.Type, i *types.Interface) bool {
	methods := types.NewMethodSet(typ)
	for wanted := range i.Methods() {
		if methods.Lookup(wanted.Pkg(), wanted.Name()) == nil {
			return false
		}
	}
	return true
}
