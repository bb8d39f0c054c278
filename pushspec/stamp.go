package pushspec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Variables returns the names of the stamp variables in template, in order, each once:
// "BRANCH" for {BRANCH|slug:-main}. See docs/decisions/0008-the-daemon-stamps.md.
func Variables(template string) []string {
	var names []string
	for _, found := range inBraces.FindAllString(template, -1) {
		if v, err := parseVariable(found); err == nil && !slices.Contains(names, v.name) {
			names = append(names, v.name)
		}
	}
	return names
}

// Variables returns the names of the stamp variables in the destination, in order,
// each once.
func (d Destination) Variables() []string {
	return Variables(strings.Join(d.templates(), " "))
}

// templates are the texts of the destination that may contain stamp variables.
func (d Destination) templates() []string {
	return append([]string{d.Repository}, d.Tags...)
}

// Stamp fills in the stamp variables of template from vars. A variable that is missing
// or empty in vars gets its default. Without one it is an error: builds would overwrite
// each other's tags.
func Stamp(template string, vars map[string]string) (string, error) {
	text, err := replaceVariables(template, func(v variable) (string, error) { return v.fill(vars) })
	if err != nil {
		return "", fmt.Errorf("%q %w", template, err)
	}
	return text, nil
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

// checkTemplate checks a text that may contain stamp variables: with a letter in the
// place of each, and with the defaults of those that have one.
func checkTemplate(template string, check func(string) error) error {
	if len(template) > maxText {
		return fmt.Errorf("has %d bytes; the limit is %d", len(template), maxText)
	}
	for _, with := range []func(variable) (string, error){
		func(variable) (string, error) { return "x", nil },
		func(v variable) (string, error) { return cmp.Or(v.otherwise, "x"), nil },
	} {
		text, err := replaceVariables(template, with)
		if err != nil {
			return err
		}
		if err := check(text); err != nil {
			if strings.ContainsAny(template, "{}") {
				return fmt.Errorf("%q, with its variables filled in: %w", clip(template), err)
			}
			return err
		}
	}
	return nil
}

// plain says whether version 1 of the spec has all that is in the template.
func plain(template string) bool {
	text, err := replaceVariables(template, func(v variable) (string, error) { return "{" + v.name + "}", nil })
	return err != nil || text == template
}
