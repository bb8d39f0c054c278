package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/pull"
)

func newImportCommand() *cobra.Command {
	var parts pull.Parts
	var manifestOut, configOut, checked string
	var blobs []string

	command := &cobra.Command{
		Use:   "import",
		Short: "Check the files of an image that others have put together",
		Long: `Check that the files are what they are given as, and belong to one image: its
manifest, its config, the metadata of its layers, and layers themselves. Manifest
and config are copied, so that nobody uses what has not been checked.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			image, err := parts.Read()
			if err != nil {
				return err
			}
			if err := pull.CheckBlobs(blobs, image.Layers); err != nil {
				return err
			}
			for path, data := range map[string][]byte{manifestOut: image.Manifest, configOut: image.Config, checked: nil} {
				if path == "" {
					continue
				}
				if err := os.WriteFile(path, data, 0o644); err != nil { //nolint:gosec // an output of a build action, for everybody
					return fmt.Errorf("write what was checked: %w", err)
				}
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&parts.Manifest, "manifest", "", "the image's manifest")
	flags.StringVar(&parts.Config, "config", "", "the image's config")
	flags.StringArrayVar(&parts.Layers, "layer", nil, "metadata of a layer, the lowest first")
	flags.StringArrayVar(&blobs, "blob", nil, "a file that is to be one of the layers")
	flags.StringVar(&manifestOut, "manifest-out", "", "where the copy of the manifest goes")
	flags.StringVar(&configOut, "config-out", "", "where the copy of the config goes")
	flags.StringVar(&checked, "checked", "", "file to write when all is well")
	require(command, "manifest", "config")
	return command
}
