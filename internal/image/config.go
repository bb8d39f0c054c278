package image

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// configure puts what the spec says over what the base has.
func configure(config *v1.Config, spec Spec) error {
	if spec.Entrypoint != nil {
		config.Entrypoint, config.Cmd = spec.Entrypoint, nil
	}
	if spec.Cmd != nil {
		config.Cmd = spec.Cmd
	}
	config.Env = environment(config.Env, spec.Env)
	if config.Labels == nil {
		config.Labels = map[string]string{}
	}
	maps.Copy(config.Labels, spec.Labels)
	config.Labels = orNil(config.Labels)
	for _, field := range []struct {
		of    *string
		value string
	}{{&config.User, spec.User}, {&config.WorkingDir, spec.WorkingDir}, {&config.StopSignal, spec.StopSignal}} {
		if field.value != "" {
			*field.of = field.value
		}
	}
	for _, port := range spec.ExposedPorts {
		if !validPort.MatchString(port) {
			return fmt.Errorf("exposed port %q is not of the form 8080, 8080/tcp or 53/udp", port)
		}
		if !strings.Contains(port, "/") {
			port += "/tcp"
		}
		add(&config.ExposedPorts, port)
	}
	for _, volume := range spec.Volumes {
		add(&config.Volumes, volume)
	}
	return nil
}

// validPort is what the OCI image spec says of ExposedPorts, with tcp to be
// understood.
var validPort = regexp.MustCompile(`^[0-9]{1,5}(/(tcp|udp|sctp))?$`)

var reference = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*\}`)

// environment sets the assignments over those of the base.
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
		i := slices.IndexFunc(env, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		if i < 0 {
			env = append(env, name+"="+value)
		} else {
			env[i] = name + "=" + value
		}
	}
	return env
}

func add(set *map[string]struct{}, element string) {
	if *set == nil {
		*set = map[string]struct{}{}
	}
	(*set)[element] = struct{}{}
}

// orNil leaves an empty map out of the JSON.
func orNil(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}
