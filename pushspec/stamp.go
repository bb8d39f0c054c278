package pushspec

import (
	"fmt"
	"regexp"
	"strings"
)

// A stamp variable is a key of the workspace status or of the build metadata in
// braces: {BUILD_SCM_REVISION}.
// See docs/decisions/0008-the-daemon-stamps.md.
var variable = regexp.MustCompile(`\{[^{}]*\}`)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Variables returns the names of the stamp variables in template, in order, each
// once.
func Variables(template string) []string {
	var names []string
	seen := map[string]bool{}
	for _, v := range variable.FindAllString(template, -1) {
		name := v[1 : len(v)-1]
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// Variables returns the names of the stamp variables in the destination, in order,
// each once.
func (d Destination) Variables() []string {
	return Variables(strings.Join(append([]string{d.Repository}, d.Tags...), " "))
}

// Stamp fills in the stamp variables of template from vars. A variable that is missing
// or empty in vars is an error: without it, builds would overwrite each other's tags.
func Stamp(template string, vars map[string]string) (string, error) {
	var missing error
	text := variable.ReplaceAllStringFunc(template, func(v string) string {
		value := vars[v[1:len(v)-1]]
		if value == "" && missing == nil {
			missing = fmt.Errorf("%q needs %s, but neither the workspace status nor the build metadata of this build has it: "+
				"set it with --workspace_status_command or --build_metadata", template, v[1:len(v)-1])
		}
		return value
	})
	return text, missing
}

// Stamp fills in the stamp variables of the destination, and checks the result. Tags
// that become equal are one tag.
func (d Destination) Stamp(vars map[string]string) (Destination, error) {
	stamped := Destination{Registry: d.Registry, Overwrite: d.Overwrite, Gate: d.Gate}
	var err error
	if stamped.Repository, err = stampChecked(d.Repository, vars, CheckRepository); err != nil {
		return Destination{}, fmt.Errorf("stamp repository: %w", err)
	}
	seen := make(map[string]bool, len(d.Tags))
	for _, template := range d.Tags {
		tag, err := stampChecked(template, vars, CheckTag)
		if err != nil {
			return Destination{}, fmt.Errorf("stamp tag: %w", err)
		}
		if !seen[tag] {
			seen[tag] = true
			stamped.Tags = append(stamped.Tags, tag)
		}
	}
	return stamped, nil
}

func stampChecked(template string, vars map[string]string, check func(string) error) (string, error) {
	text, err := Stamp(template, vars)
	if err != nil {
		return "", err
	}
	if err := check(text); err != nil {
		if text != template {
			return "", fmt.Errorf("%q, with its variables filled in: %w", template, err)
		}
		return "", err
	}
	return text, nil
}

// checkTemplate checks a text that may contain stamp variables. It puts a letter in the
// place of each.
func checkTemplate(template string, check func(string) error) error {
	if len(template) > maxText {
		return fmt.Errorf("has %d bytes; the limit is %d", len(template), maxText)
	}
	for _, name := range Variables(template) {
		if !variableName.MatchString(name) {
			return fmt.Errorf("{%s} must be a stamp variable: letters, digits and _, not beginning with a digit", clip(name))
		}
	}
	if err := check(variable.ReplaceAllString(template, "x")); err != nil {
		if strings.ContainsAny(template, "{}") {
			return fmt.Errorf("%q, with its variables filled in: %w", clip(template), err)
		}
		return err
	}
	return nil
}
