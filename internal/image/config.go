package image

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// configure puts what the spec says over what the base and the fragment have.
func (d *draft) configure(spec Spec) error {
	config, err := d.config.object("config")
	if err != nil {
		return err
	}
	for _, change := range []func(*object, Spec) error{unset, setProgram, setEnvironment, setLabels, setTexts, addPorts, addVolumes} {
		if err := change(&config, spec); err != nil {
			return err
		}
	}
	return d.config.set("config", config)
}

func setProgram(config *object, spec Spec) error {
	for _, field := range []struct {
		name  string
		words []string
	}{{"Entrypoint", spec.Entrypoint}, {"Cmd", spec.Cmd}} {
		if field.words == nil {
			continue
		}
		base, err := config.strings(field.name)
		if err != nil {
			return err
		}
		inherits := slices.Contains(field.words, InheritFromBase)
		if field.name == "Entrypoint" && !inherits && !slices.Contains(spec.Cmd, InheritFromBase) {
			config.remove("Cmd")
		}
		if err := config.set(field.name, continued(field.words, base)); err != nil {
			return err
		}
	}
	return nil
}

// continued puts the base's words in the place that stands for them.
func continued(words, base []string) []string {
	i := slices.Index(words, InheritFromBase)
	if i < 0 {
		return words
	}
	return slices.Concat(words[:i], base, words[i+1:])
}

func unset(config *object, spec Spec) error {
	for _, field := range spec.Unset {
		switch field {
		case "Entrypoint":
			config.remove("Entrypoint")
			if !slices.Contains(spec.Cmd, InheritFromBase) {
				config.remove("Cmd") // as any other entrypoint does
			}
		case "Cmd", "User", "WorkingDir", "StopSignal":
			config.remove(field)
		default:
			return fmt.Errorf("%q cannot be unset: use Entrypoint, Cmd, User, WorkingDir or StopSignal", field)
		}
	}
	return nil
}

func setEnvironment(config *object, spec Spec) error {
	if len(spec.Env) == 0 && len(spec.UnsetEnv) == 0 {
		return nil
	}
	for _, pattern := range spec.UnsetEnv {
		if strings.Contains(pattern, "=") {
			return fmt.Errorf("environment variable %q cannot be unset: give only its name, without =", pattern)
		}
	}
	base, err := config.strings("Env")
	if err != nil {
		return err
	}
	return config.set("Env", environment(base, spec.UnsetEnv, spec.Env))
}

func setLabels(config *object, spec Spec) error {
	if len(spec.Labels) == 0 && len(spec.UnsetLabels) == 0 {
		return nil
	}
	labels, err := config.object("Labels")
	if err != nil {
		return err
	}
	labels = slices.DeleteFunc(labels, func(m member) bool { return matches(spec.UnsetLabels, m.name) })
	for _, name := range slices.Sorted(maps.Keys(spec.Labels)) {
		if err := labels.set(name, spec.Labels[name]); err != nil {
			return err
		}
	}
	return config.set("Labels", labels)
}

// matches tells whether a name is one of the patterns', in which * stands for any
// letters.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		parts := strings.Split(pattern, "*")
		rest, found := strings.CutPrefix(name, parts[0])
		last := len(parts) - 1
		for _, part := range parts[1:max(last, 1)] {
			if !found {
				return false
			}
			_, rest, found = strings.Cut(rest, part)
		}
		if last == 0 {
			return found && rest == ""
		}
		return found && strings.HasSuffix(rest, parts[last])
	})
}

func setTexts(config *object, spec Spec) error {
	for _, field := range []struct{ name, value string }{
		{"User", spec.User}, {"WorkingDir", spec.WorkingDir}, {"StopSignal", spec.StopSignal},
	} {
		if field.value == "" {
			continue
		}
		if err := config.set(field.name, field.value); err != nil {
			return err
		}
	}
	return nil
}

func addPorts(config *object, spec Spec) error {
	var ports []string
	for _, port := range spec.ExposedPorts {
		if !validPort.MatchString(port) {
			return fmt.Errorf("exposed port %q must be a port such as 8080, 8080/tcp or 53/udp", port)
		}
		if !strings.Contains(port, "/") {
			port += "/tcp"
		}
		ports = append(ports, port)
	}
	return addNames(config, "ExposedPorts", ports)
}

func addVolumes(config *object, spec Spec) error { return addNames(config, "Volumes", spec.Volumes) }

// addNames adds to an object whose members have no content.
func addNames(config *object, field string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	set, err := config.object(field)
	if err != nil {
		return err
	}
	for _, name := range names {
		set.put(name, jsontext.Value("{}"))
	}
	return config.set(field, set)
}

// validPort is what the OCI image spec says of ExposedPorts, with tcp to be
// understood.
var validPort = regexp.MustCompile(`^[0-9]{1,5}(/(tcp|udp|sctp))?$`)

var reference = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*\}`)

// environment takes variables out of those of the base, and sets the assignments over
// the others. Of a name that the base has twice the last counts, in the place of the
// first.
func environment(base, without, assignments []string) []string {
	before := map[string]string{}
	for _, assignment := range base {
		name, value, _ := strings.Cut(assignment, "=")
		before[name] = value
	}
	env := slices.DeleteFunc(slices.Clone(base), func(assignment string) bool {
		name, _, _ := strings.Cut(assignment, "=")
		return matches(without, name)
	})
	for _, assignment := range assignments {
		name, value, _ := strings.Cut(assignment, "=")
		value = reference.ReplaceAllStringFunc(value, func(r string) string { return before[r[2:len(r)-1]] })
		of := func(old string) bool { return strings.HasPrefix(old, name+"=") }
		i := slices.IndexFunc(env, of)
		if i < 0 {
			env = append(env, name+"="+value)
			continue
		}
		env[i] = name + "=" + value
		env = slices.Concat(env[:i+1], slices.DeleteFunc(slices.Clone(env[i+1:]), of))
	}
	return env
}
