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
	for _, change := range []func(*object, Spec) error{setProgram, setEnvironment, setLabels, setTexts, addPorts, addVolumes} {
		if err := change(&config, spec); err != nil {
			return err
		}
	}
	return d.config.set("config", config)
}

func setProgram(config *object, spec Spec) error {
	if spec.Entrypoint != nil {
		config.remove("Cmd")
		if err := config.set("Entrypoint", spec.Entrypoint); err != nil {
			return err
		}
	}
	if spec.Cmd != nil {
		return config.set("Cmd", spec.Cmd)
	}
	return nil
}

func setEnvironment(config *object, spec Spec) error {
	if len(spec.Env) == 0 {
		return nil
	}
	base, err := config.strings("Env")
	if err != nil {
		return err
	}
	return config.set("Env", environment(base, spec.Env))
}

func setLabels(config *object, spec Spec) error {
	if len(spec.Labels) == 0 {
		return nil
	}
	labels, err := config.object("Labels")
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Labels)) {
		if err := labels.set(name, spec.Labels[name]); err != nil {
			return err
		}
	}
	return config.set("Labels", labels)
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
			return fmt.Errorf("exposed port %q is not of the form 8080, 8080/tcp or 53/udp", port)
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

// environment sets the assignments over those of the base. Of a name that the base
// has twice the last counts, in the place of the first.
func environment(base, assignments []string) []string {
	before := map[string]string{}
	for _, assignment := range base {
		name, value, _ := strings.Cut(assignment, "=")
		before[name] = value
	}
	env := slices.Clone(base)
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
