// Package strictyaml decodes settings, and says in plain words what is wrong with them.
package strictyaml

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Decode reads one YAML document into a struct, whose other fields stay as they are. A
// key that is not a setting is an error, which names the line.
func Decode(data []byte, into any) error {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return plain(err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("it must be one YAML document; remove the second one")
	}
	return nil
}

// plain replaces the YAML package's Go terms with a user's.
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
