package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/image"
	"github.com/drayage/drayage/pushspec"
)

func newPushSpecCommand() *cobra.Command {
	var out, index, tagFile, overwrite string
	var manifests, configs, layers, uncached, referrers []string
	var push image.Push

	command := &cobra.Command{
		Use:   "pushspec",
		Short: "Write an image's push spec",
		Long: `Write the push spec of an image or an index: what the daemon, or drayage push,
needs to know to push it. The repository and the tags may hold stamp variables, as
in {BUILD_SCM_REVISION}; whoever pushes fills them in.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var err error
			if push.Uncached, err = tagsByLabel(uncached); err != nil {
				return err
			}
			push.Destination.Overwrite = overwriting(overwrite)
			data, err := makePushSpec(push, index, tagFile, manifests, configs, layers, referrers)
			if invalid, ok := errors.AsType[*pushspec.Error](err); ok {
				return inAttributes(invalid) // it names the target itself
			}
			if err != nil {
				return fmt.Errorf("push spec of %s: %w", push.Target, err)
			}
			if err := os.WriteFile(out, data, 0o644); err != nil { //nolint:gosec // an output of a build action, for everybody
				return fmt.Errorf("write push spec of %s: %w", push.Target, err)
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&out, "out", "", "where the push spec goes")
	flags.StringVar(&push.Target, "target", "", "label of the target that pushes")
	flags.StringVar(&index, "index", "", "index over the images")
	flags.StringArrayVar(&manifests, "manifest", nil, "an image's manifest")
	flags.StringArrayVar(&configs, "config", nil, "its config; as many as manifests, in the same order")
	flags.StringArrayVar(&layers, "layer", nil, "metadata of a layer or of an artifact's file; those of the base too")
	flags.StringArrayVar(&push.MadeBy, "made-by", nil, "label of the target that makes it; as many as layers, in the same order, or none")
	flags.StringArrayVar(&uncached, "uncached", nil, "TAG=LABEL of a target whose layers that tag keeps out of the remote cache")
	flags.StringArrayVar(&referrers, "referrer", nil, "manifest of an artifact about the image, as drayage referrer writes it")
	flags.StringVar(&push.Destination.Registry, "registry", "", "host of the registry")
	flags.StringVar(&push.Destination.Repository, "repository", "", "name of the repository")
	flags.StringArrayVar(&push.Destination.Tags, "tag", nil, "a tag")
	flags.StringVar(&tagFile, "tag-file", "", "file with more tags, one a line")
	flags.StringVar(&overwrite, "overwrite", string(pushspec.OverwriteAlways), "whether a tag that points to another image is written over: always or never")
	require(command, "out", "target", "manifest", "config", "registry", "repository")
	return command
}

// overwriting leaves out what goes without saying, for daemons that know version 1 of
// the spec alone.
func overwriting(text string) pushspec.Overwrite {
	if text == string(pushspec.OverwriteAlways) {
		return ""
	}
	return pushspec.Overwrite(text)
}

// attributes are those of the rules that end up in the fields of a spec.
var attributes = []struct{ field, names string }{
	{"destination.registry", "registry, also_to or push_specs, or the setting registry"},
	{"destination.repository", "repository, also_to or push_specs"},
	{"destination.tags", "tag, tag_list, tag_file or push_specs"},
	{"destination.overwrite", "overwrite"},
}

// inAttributes says in which attributes what is wrong with a field may be.
func inAttributes(invalid *pushspec.Error) error {
	for _, a := range attributes {
		if strings.HasPrefix(invalid.Field, a.field) {
			return fmt.Errorf("%w (of the attribute %s)", invalid, a.names)
		}
	}
	return invalid
}

// tagsByLabel reads TAG=LABEL. A label may hold an equals sign, and a tag that
// matters here does not.
func tagsByLabel(texts []string) (map[string]string, error) {
	tags := make(map[string]string, len(texts))
	for _, text := range texts {
		tag, label, found := strings.Cut(text, "=")
		if !found || tag == "" || label == "" {
			return nil, fmt.Errorf("--uncached must be TAG=LABEL, not %q", text)
		}
		tags[label] = tag
	}
	return tags, nil
}

func makePushSpec(push image.Push, index, tagFile string, manifests, configs, layers, referrers []string) ([]byte, error) {
	var err error
	if push.Images, err = readImages(manifests, configs); err != nil {
		return nil, err
	}
	if push.Layers, err = readLayers(layers); err != nil {
		return nil, err
	}
	if index != "" {
		if push.Index, err = readDocument("index", index); err != nil {
			return nil, err
		}
	}
	for _, path := range referrers {
		manifest, err := readDocument("manifest of artifact", path)
		if err != nil {
			return nil, err
		}
		push.Referrers = append(push.Referrers, manifest)
	}
	if tagFile != "" {
		listed, err := os.ReadFile(tagFile)
		if err != nil {
			return nil, fmt.Errorf("read tags: %w", err)
		}
		for line := range strings.Lines(string(listed)) {
			if tag := strings.TrimSpace(line); tag != "" && !slices.Contains(push.Destination.Tags, tag) {
				push.Destination.Tags = append(push.Destination.Tags, tag)
			}
		}
	}
	spec, err := image.PushSpec(push)
	if err != nil {
		return nil, err
	}
	return spec.Encode()
}
