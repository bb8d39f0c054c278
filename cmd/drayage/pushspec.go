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
	var out, overwrite, gate string
	var uncached []string
	var push image.Push
	var files pushSpecFiles

	command := &cobra.Command{
		Use:   "pushspec",
		Short: "Write an image's push spec",
		Long: `Write the push spec of an image or an index, which tells the daemon or drayage push
what to push where. The repository and the tags may contain stamp variables such as
{BUILD_SCM_REVISION}, {BRANCH|slug} or {VERSION:-dev}, which are filled in at the push.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var err error
			if push.Uncached, err = tagsByLabel(uncached); err != nil {
				return err
			}
			push.Destination.Overwrite = overwriting(overwrite)
			push.Destination.Gate = gated(gate)
			data, err := files.pushSpec(push)
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
	flags.StringVar(&out, "out", "", "`FILE` to write the push spec to")
	flags.StringVar(&push.Target, "target", "", "`LABEL` of the target that pushes")
	flags.StringVar(&files.index, "index", "", "`FILE` with the index of the images")
	flags.StringArrayVar(&files.manifests, "manifest", nil, "manifest `FILE` of an image")
	flags.StringArrayVar(&files.configs, "config", nil, "config `FILE` of the image; one for each --manifest, in the same order")
	flags.StringArrayVar(&files.layers, "layer", nil, "metadata `FILE` of a layer, those of the base included, or of an artifact's file")
	flags.StringArrayVar(&push.MadeBy, "made-by", nil, "`LABEL` of the target that makes the layer; one for each --layer, in the same order, or none at all")
	flags.StringArrayVar(&uncached, "uncached", nil, "`TAG=LABEL` of a target whose layers that tag keeps out of the remote cache")
	flags.StringArrayVar(&files.referrers, "referrer", nil, "manifest `FILE` of an artifact about the image, as drayage referrer writes it")
	flags.StringVar(&push.Destination.Registry, "registry", "", "`HOST` of the registry")
	flags.StringVar(&push.Destination.Repository, "repository", "", "`NAME` of the repository")
	flags.StringArrayVar(&push.Destination.Tags, "tag", nil, "a `TAG` to write; may be given more than once")
	flags.StringVar(&files.tags, "tag-file", "", "`FILE` with more tags, one per line")
	flags.StringVar(&overwrite, "overwrite", string(pushspec.OverwriteAlways), "whether to move a tag that points to another image: always or never")
	flags.StringVar(&gate, "gate", string(pushspec.GatePushed), "when the tags move: pushed, green or approved")
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

// gated leaves out what goes without saying, as overwriting does.
func gated(text string) pushspec.Gate {
	if text == string(pushspec.GatePushed) {
		return ""
	}
	return pushspec.Gate(text)
}

// attributes are those of the rules that end up in the fields of a spec.
var attributes = []struct{ field, names string }{
	{"destination.registry", "registry, also_to or push_specs, or the setting registry"},
	{"destination.repository", "repository, also_to or push_specs"},
	{"destination.tags", "tag, tag_list, tag_file or push_specs"},
	{"destination.overwrite", "overwrite"},
	{"destination.gate", "gate or push_gate, or the setting gate"},
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

// pushSpecFiles are the files that a push spec is made of.
type pushSpecFiles struct {
	index, tags                           string
	manifests, configs, layers, referrers []string
}

// pushSpec adds to a push what is in the files, and writes its spec.
func (f pushSpecFiles) pushSpec(push image.Push) ([]byte, error) {
	var err error
	if push.Images, err = readImages(f.manifests, f.configs); err != nil {
		return nil, err
	}
	if push.Layers, err = readLayers(f.layers); err != nil {
		return nil, err
	}
	if f.index != "" {
		if push.Index, err = readDocument("index", f.index); err != nil {
			return nil, err
		}
	}
	for _, path := range f.referrers {
		manifest, err := readDocument("manifest of artifact", path)
		if err != nil {
			return nil, err
		}
		push.Referrers = append(push.Referrers, manifest)
	}
	if f.tags != "" {
		listed, err := os.ReadFile(f.tags)
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
