package rulesdoc

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const generated = "<!-- `make generate` writes this page from the docstrings below rules/. -->\n"

// PageName is the name of a module's page in docs/rules.
func PageName(m Module) string { return stem(m.File) + ".md" }

// Page is the reference of one public file. Links from one page to another
// presume that all of r are there.
func (r Reference) Page(m Module) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n# %s\n\n%s\n\n", generated, m.File, m.Doc)
	if len(m.Symbols) > 1 {
		b.WriteString("| name | kind | what it is |\n| --- | --- | --- |\n")
		for _, s := range m.Symbols {
			fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s |\n", s.Name, s.Name, s.Kind, cell(firstSentence(s.Doc)))
		}
		b.WriteByte('\n')
	}
	for _, s := range m.Symbols {
		fmt.Fprintf(&b, "<a id=\"%s\"></a>\n\n## %s\n\n```starlark\n%s\n```\n\n%s\n\n", s.Name, s.Name, loading(m, s), s.Doc)
		r.writeFields(&b, s, s.Name)
		for _, tag := range s.Tags {
			name := s.Name + "." + tag.Name
			fmt.Fprintf(&b, "<a id=\"%s\"></a>\n\n### %s\n\n%s\n\n", name, name, tag.Doc)
			r.writeFields(&b, tag, name)
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// loading is how a file gets hold of the symbol.
func loading(m Module, s Symbol) string {
	label := "@drayage//rules:" + m.File
	switch s.Kind {
	case Extension:
		return fmt.Sprintf("%s = use_extension(%q, %q)", s.Name, label, s.Name)
	case RepositoryRule:
		return fmt.Sprintf("%s = use_repo_rule(%q, %q)", s.Name, label, s.Name)
	default:
		return fmt.Sprintf("load(%q, %q)", label, s.Name)
	}
}

// writeFields writes the table of a symbol's fields.
func (r Reference) writeFields(b *strings.Builder, s Symbol, anchor string) {
	if len(s.Fields) == 0 {
		return
	}
	heads := map[Kind][]string{Provider: {"field"}, Macro: {"argument", "default"}}[s.Kind]
	if heads == nil {
		heads = []string{"attribute", "type", "default"}
	}
	fmt.Fprintf(b, "| %s | what it is |\n|%s\n", strings.Join(heads, " | "), strings.Repeat(" --- |", len(heads)+1))
	for _, f := range s.Fields {
		cells := []string{fmt.Sprintf("<a id=\"%s-%s\"></a>`%s`", anchor, strings.Trim(f.Name, "*"), f.Name)}
		switch s.Kind {
		case Provider:
		case Macro:
			cells = append(cells, defaultOf(f))
		default:
			cells = append(cells, r.typeOf(f), defaultOf(f))
		}
		fmt.Fprintf(b, "| %s | %s |\n", strings.Join(cells, " | "), cell(capitalised(f.Doc)))
	}
	b.WriteByte('\n')
}

// capitalised is a docstring that may have begun in the middle of a line.
func capitalised(doc string) string {
	first, size := utf8.DecodeRuneInString(doc)
	return string(unicode.ToUpper(first)) + doc[size:]
}

func (r Reference) typeOf(f Field) string {
	var groups []string
	for _, group := range f.Providers {
		var links []string
		for _, provider := range group {
			links = append(links, r.link(provider))
		}
		groups = append(groups, strings.Join(links, " and "))
	}
	if len(groups) == 0 {
		return f.Type
	}
	return f.Type + " with " + strings.Join(groups, " or ")
}

// link is a provider's name, and where it is documented if it is one of ours.
func (r Reference) link(provider string) string {
	for _, m := range r.Modules {
		for _, s := range m.Symbols {
			if s.Kind == Provider && s.Name == provider {
				return fmt.Sprintf("[`%s`](%s#%s)", provider, PageName(m), provider)
			}
		}
	}
	return "`" + provider + "`"
}

func defaultOf(f Field) string {
	switch {
	case f.Mandatory:
		return "**mandatory**"
	case f.Default == "":
		return ""
	default:
		return code(f.Default)
	}
}

// firstSentence is what stands before the first full stop or colon that ends a
// line or is followed by a space.
func firstSentence(doc string) string {
	paragraph, _, _ := strings.Cut(doc, "\n\n")
	paragraph = strings.Join(strings.Fields(paragraph), " ")
	for i, r := range paragraph {
		if (r == '.' || r == ':') && (i+1 == len(paragraph) || paragraph[i+1] == ' ') {
			return paragraph[:i] + "."
		}
	}
	return paragraph
}
