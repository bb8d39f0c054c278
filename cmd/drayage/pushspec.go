package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/image"
	"github.com/drayage/drayage/pushspec"
)

func newPushSpecCommand() *cobra.Command {
	var out, target, manifest, config string
	var layers []string
	var destination pushspec.Destination

	command := &cobra.Command{
		Use:   "pushspec",
		Short: "Write an image's push spec",
		Long: `Write the push spec of an image: what the daemon, or drayage push, needs to know
to push it. The repository and the tags may hold stamp variables, as in
{BUILD_SCM_REVISION}; whoever pushes fills them in.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			base, err := readBase(manifest, config)
			if err != nil {
				return err
			}
			sources, err := readLayers(layers)
			if err != nil {
				return err
			}
			spec, err := image.PushSpec(image.Image(*base), sources, target, destination)
			if err != nil {
				return fmt.Errorf("push spec of %s: %w", target, err)
			}
			data, err := spec.Encode()
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, data, 0o644); err != nil {
				return fmt.Errorf("write push spec of %s: %w", target, err)
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&out, "out", "", "where the push spec goes")
	flags.StringVar(&target, "target", "", "label of the target that pushes")
	flags.StringVar(&manifest, "manifest", "", "the image's manifest")
	flags.StringVar(&config, "config", "", "the image's config")
	flags.StringArrayVar(&layers, "layer", nil, "metadata of a layer; those of the base too")
	flags.StringVar(&destination.Registry, "registry", "", "host of the registry")
	flags.StringVar(&destination.Repository, "repository", "", "name of the repository")
	flags.StringArrayVar(&destination.Tags, "tag", nil, "a tag")
	require(command, "out", "target", "manifest", "config", "registry", "repository")
	return command
}
