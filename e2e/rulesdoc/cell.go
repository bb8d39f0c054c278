package rulesdoc

import (
	"html"
	"strings"
)

// cell is a docstring as it stands in a cell of a GitHub table, which is one
// line: paragraphs, items of lists and blocks of code become HTML.
func cell(doc string) string {
	var out strings.Builder
	var code []string
	inCode, paragraph := false, false
	for line := range strings.Lines(strings.TrimSpace(doc)) {
		line = strings.TrimSuffix(line, "\n")
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "```"):
			if inCode {
				out.WriteString("<pre>" + strings.Join(code, "&#10;") + "</pre>")
				code = nil
			}
			inCode, paragraph = !inCode, false
		case inCode:
			code = append(code, strings.ReplaceAll(html.EscapeString(line), "|", "&#124;"))
		case trimmed == "":
			paragraph = out.Len() > 0
		case strings.HasPrefix(trimmed, "- "):
			out.WriteString("<br>• " + escaped(trimmed[2:]))
			paragraph = false
		default:
			if paragraph {
				out.WriteString("<br><br>")
			} else if out.Len() > 0 && !strings.HasSuffix(out.String(), "</pre>") {
				out.WriteByte(' ')
			}
			out.WriteString(escaped(trimmed))
			paragraph = false
		}
	}
	return out.String()
}

// escaped is a line of Markdown in which nothing ends the cell, or is taken for
// HTML: what looks like that is a placeholder.
func escaped(line string) string {
	parts := strings.Split(line, "`")
	for i, part := range parts {
		// Between backticks GitHub takes everything literally but the bar.
		if i%2 == 0 {
			part = strings.ReplaceAll(part, "<", "&lt;")
		}
		parts[i] = strings.ReplaceAll(part, "|", `\|`)
	}
	return strings.Join(parts, "`")
}

// code is a Starlark expression in a cell.
func code(expression string) string {
	return "`" + strings.ReplaceAll(strings.ReplaceAll(expression, "|", `\|`), "\n", " ") + "`"
}
