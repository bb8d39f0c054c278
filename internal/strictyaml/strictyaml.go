// Package strictyaml decodes settings, and says in a person's words what is wrong with
// them.
package strictyaml

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Decode reads one YAML document over what into holds. A key that is not a setting is an
// error that names its line.
func Decode(data []byte, into any) error {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return plain(err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("the file must contain only one YAML document")
	}
	return nil
}

// plain says in a user's words what the YAML package says in Go's.
func plain(err error) error {
	typed, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return err
	}
	var lines []string
	for _, line := range typed.Errors {
		if before, _, found := strings.Cut(line, " not found in type "); found {
			line = strings.Replace(before, ": field ", ": ", 1) + " is not a setting"
		} else {
			line = strings.NewReplacer("cannot unmarshal ", "", "!!str ", "", "!!int ", "", "!!map ", "a mapping ", "!!seq ", "a list ", " into ", " does not fit ").Replace(line)
		}
		lines = append(lines, line)
	}
	return errors.New(strings.Join(lines, "; "))
}
