package rulesdoc

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Module is what one public .bzl file offers.
type Module struct {
	// File is its name below rules/, such as layer.bzl.
	File string
	Doc  string
	// Symbols are in the order of their names.
	Symbols []Symbol
}

// Kind says what a symbol is.
type Kind string

// The kinds of symbols that the rules have.
const (
	Rule           Kind = "rule"
	RepositoryRule Kind = "repository rule"
	Macro          Kind = "macro"
	Provider       Kind = "provider"
	Extension      Kind = "module extension"
	TagClass       Kind = "tag class"
)

// Symbol is something to load.
type Symbol struct {
	Name string
	Kind Kind
	Doc  string
	// Fields are a rule's attributes, a macro's parameters, a provider's fields.
	Fields []Field
	// Tags are an extension's tag classes.
	Tags []Symbol
}

// Field is an attribute, a parameter, or a provider's field.
type Field struct {
	Name, Doc string
	// Type is empty where there is none to tell.
	Type string
	// Providers are what targets need, one group or another of them.
	Providers [][]string
	Mandatory bool
	// Default is a Starlark expression.
	Default string
}

// decodeModule reads the ModuleInfo that starlark_doc_extract writes. The numbers
// of its fields are those of Bazel's stardoc_output.proto.
func decodeModule(file string, data []byte) (Module, error) {
	m, err := parseMessage(data)
	if err != nil {
		return Module{}, fmt.Errorf("decode what %s has: %w", file, err)
	}
	rules, err1 := each(m, 1, decodeRule(Rule))
	providers, err2 := each(m, 2, decodeProvider)
	macros, err3 := each(m, 3, decodeFunction)
	extensions, err4 := each(m, 7, decodeExtension)
	repositories, err5 := each(m, 8, decodeRule(RepositoryRule))
	symbolic, err6 := each(m, 9, decodeRule(Macro))
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return Module{}, fmt.Errorf("decode what %s has: %w", file, err)
	}
	if len(m.bytes[4])+len(m.bytes[10]) > 0 {
		return Module{}, fmt.Errorf("decode what %s has: aspects and plain values have no form in the reference yet", file)
	}
	module := Module{File: file, Doc: strings.TrimSpace(m.text(5)), Symbols: slices.Concat(rules, providers, macros, extensions, repositories, symbolic)}
	slices.SortFunc(module.Symbols, func(a, b Symbol) int { return cmp.Compare(a.Name, b.Name) })
	return module, nil
}

// decodeRule reads what RuleInfo, RepositoryRuleInfo, MacroInfo and
// ModuleExtensionTagClassInfo have in common.
func decodeRule(kind Kind) func(message) (Symbol, error) {
	return func(m message) (Symbol, error) {
		fields, err := each(m, 3, decodeAttribute)
		// Modules have no use for it.
		fields = slices.DeleteFunc(fields, func(f Field) bool { return kind == RepositoryRule && f.Name == "repo_mapping" })
		for i := range fields {
			if fields[i].Name == "name" && kind != TagClass {
				fields[i].Doc = map[Kind]string{Rule: "The target's name.", RepositoryRule: "The repository's name.", Macro: "The target's name."}[kind]
			}
		}
		return Symbol{Name: m.text(1), Kind: kind, Doc: strings.TrimSpace(m.text(2)), Fields: nameFirst(fields)}, err
	}
}

// nameFirst are the fields with the name before all others, which are in the
// order of their names.
func nameFirst(fields []Field) []Field {
	slices.SortFunc(fields, func(a, b Field) int {
		if (a.Name == "name") != (b.Name == "name") {
			if a.Name == "name" {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return fields
}

func decodeAttribute(m message) (Field, error) {
	groups, err := each(m, 5, func(group message) ([]string, error) { return group.texts(1), nil })
	kind := m.numbers[3]
	if kind >= uint64(len(attributeTypes)) {
		return Field{}, fmt.Errorf("attribute %s is of type %d, which has no name here", m.text(1), kind)
	}
	return Field{
		Name: m.text(1), Doc: m.text(2), Type: attributeTypes[kind], Providers: groups,
		Mandatory: m.numbers[4] != 0, Default: m.text(6),
	}, err
}

// attributeTypes are the words for the values of AttributeType.
var attributeTypes = [...]string{
	"", "name", "number", "label", "string", "list of strings", "list of numbers", "list of labels", "boolean",
	"dict of label to string", "dict of string to string", "dict of string to list of strings", "output", "list of outputs",
	"dict of string to label", "dict of string to list of labels",
}

func decodeProvider(m message) (Symbol, error) {
	fields, err := each(m, 3, func(f message) (Field, error) { return Field{Name: f.text(1), Doc: f.text(2)}, nil })
	return Symbol{Name: m.text(1), Kind: Provider, Doc: strings.TrimSpace(m.text(2)), Fields: nameFirst(fields)}, err
}

func decodeFunction(m message) (Symbol, error) {
	fields, err := each(m, 2, func(p message) (Field, error) {
		f := Field{Name: p.text(1), Doc: p.text(2), Default: p.text(3), Mandatory: p.numbers[4] != 0}
		// Bazel 7 does not say that a parameter stands for any number of arguments, but
		// only those are neither mandatory nor have a default.
		if !f.Mandatory && f.Default == "" {
			f.Name = "**" + f.Name
		}
		return f, nil
	})
	return Symbol{Name: m.text(1), Kind: Macro, Doc: strings.TrimSpace(m.text(3)), Fields: fields}, err
}

func decodeExtension(m message) (Symbol, error) {
	tags, err := each(m, 3, decodeRule(TagClass))
	return Symbol{Name: m.text(1), Kind: Extension, Doc: strings.TrimSpace(m.text(2)), Tags: tags}, err
}
