package pushspec

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
)

// inBraces finds the stamp variables of a template.
var inBraces = regexp.MustCompile(`\{[^{}]*\}`)

var (
	variablePattern = regexp.MustCompile(`^\{([A-Za-z_][A-Za-z0-9_]*)(\|[^:]*)?(:-.*)?\}$`)
	// A default is short of what registries take, so that a message about it can be too.
	defaultPattern = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,128}$`)
)

// variable is a stamp variable: {BUILD_SCM_REVISION}, {BRANCH|slug}, {VERSION:-dev}.
type variable struct {
	// name is a key of the workspace status or of the build metadata.
	name string
	// slugged makes the value fit for a tag and a repository.
	slugged bool
	// otherwise is the default: what stands in for a value that is missing or empty, or
	// has nothing left as a slug. "" means that the variable must have a value.
	otherwise string
}

// parseVariable reads what is in braces, with the braces.
func parseVariable(text string) (variable, error) {
	parts := variablePattern.FindStringSubmatch(text)
	if parts == nil {
		return variable{}, fmt.Errorf("%s must be a stamp variable: {NAME}, {NAME|slug}, {NAME:-default} or {NAME|slug:-default}; "+
			"a name has letters, digits and _, and does not begin with a digit", clip(text))
	}
	v := variable{name: parts[1]}
	switch filter := parts[2]; filter {
	case "":
	case "|slug":
		v.slugged = true
	default:
		return variable{}, fmt.Errorf("%s: there is no filter %q; write %s", clip(text), clip(filter[1:]), clip("{"+v.name+"|slug}"))
	}
	if parts[3] != "" {
		v.otherwise = strings.TrimPrefix(parts[3], ":-")
		if !defaultPattern.MatchString(v.otherwise) {
			return variable{}, fmt.Errorf("%s: the default %q must have 1 to 128 letters, digits, . _ - and /", clip(text), clip(v.otherwise))
		}
	}
	return v, nil
}

// fill returns what stands for the variable.
func (v variable) fill(vars map[string]string) (string, error) {
	value := vars[v.name]
	filled := value
	if v.slugged {
		filled = slug(value)
	}
	switch {
	case filled != "":
		return filled, nil
	case v.otherwise != "":
		return v.otherwise, nil
	case value != "":
		return "", fmt.Errorf("needs %s, but a slug of %q has nothing left: give it a letter or a digit, or the variable a default, as in {%s|slug:-none}", v.name, clip(value), v.name)
	}
	return "", fmt.Errorf("needs %s, but neither the workspace status nor the build metadata of this build has it: "+
		"set it with --workspace_status_command or --build_metadata", v.name)
}

// replaceVariables replaces each stamp variable of template. It returns the first of its
// errors, and those of with.
func replaceVariables(template string, with func(variable) (string, error)) (string, error) {
	var failed error
	text := inBraces.ReplaceAllStringFunc(template, func(found string) string {
		v, err := parseVariable(found)
		if err == nil {
			found, err = with(v)
		}
		failed = cmp.Or(failed, err)
		return found
	})
	return text, failed
}
