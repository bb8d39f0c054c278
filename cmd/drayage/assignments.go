package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/drayage/drayage/internal/image"
)

// configTexts are the parts of an image's config that are read before use.
type configTexts struct {
	labels, annotations, env             []string
	labelsFile, annotationsFile, envFile string
	created, createdFile                 string
}

func (c *configTexts) addFlags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&c.env, "env", nil, "environment variable `NAME=value`; ${NAME} stands for the base's value")
	flags.StringVar(&c.envFile, "env-file", "", "`FILE` of NAME=value lines; --env wins")
	flags.StringArrayVar(&c.labels, "label", nil, "label `NAME=value` of the config")
	flags.StringVar(&c.labelsFile, "labels-file", "", "`FILE` of NAME=value lines; --label wins")
	flags.StringArrayVar(&c.annotations, "annotation", nil, "annotation `NAME=value` of the manifest")
	flags.StringVar(&c.annotationsFile, "annotations-file", "", "`FILE` of NAME=value lines; --annotation wins")
	flags.StringVar(&c.created, "created", "", "creation `TIME` of the image, as 2006-01-02T15:04:05Z (default: the epoch)")
	flags.StringVar(&c.createdFile, "created-file", "", "`FILE` with the creation time; --created wins")
}

func (c *configTexts) apply(spec *image.Spec) error {
	var err error
	if spec.Labels, err = assignments("--label", c.labels, "--labels-file", c.labelsFile); err != nil {
		return err
	}
	if spec.Annotations, err = assignments("--annotation", c.annotations, "--annotations-file", c.annotationsFile); err != nil {
		return err
	}
	env, err := assignments("--env", c.env, "--env-file", c.envFile)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		spec.Env = append(spec.Env, name+"="+env[name])
	}
	return c.applyCreated(spec)
}

func (c *configTexts) applyCreated(spec *image.Spec) error {
	flag, text := "--created", c.created
	if text == "" && c.createdFile != "" {
		file, err := os.ReadFile(c.createdFile)
		if err != nil {
			return fmt.Errorf("--created-file: %w", err)
		}
		flag, text = "--created-file "+c.createdFile, strings.TrimSpace(string(file))
	} else if text == "" {
		return nil
	}
	var err error
	if spec.Created, err = time.Parse(time.RFC3339, text); err != nil {
		return fmt.Errorf("%s: %q must be a time such as 2006-01-02T15:04:05Z", flag, text)
	}
	return nil
}

// assignments are those of a file, with those of the command line over them.
func assignments(flag string, given []string, fileFlag, file string) (map[string]string, error) {
	values := map[string]string{}
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", fileFlag, err)
		}
		var lines []string
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimRight(line, "\r\n"); line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
		if values, err = pairs(fileFlag+" "+file, lines); err != nil {
			return nil, err
		}
	}
	over, err := pairs(flag, given)
	if err != nil {
		return nil, err
	}
	if values == nil {
		values = map[string]string{}
	}
	maps.Copy(values, over)
	return values, nil
}

// pairs reads arguments of the form NAME=value.
func pairs(flag string, assignments []string) (map[string]string, error) {
	values := make(map[string]string, len(assignments))
	for _, assignment := range assignments {
		name, value, found := strings.Cut(assignment, "=")
		if !found || name == "" {
			return nil, fmt.Errorf("%s: %q must be NAME=value", flag, assignment)
		}
		values[name] = value
	}
	if len(values) == 0 {
		return nil, nil
	}
	return values, nil
}
