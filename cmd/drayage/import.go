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
		Short: "Check the files of an image that another tool made",
		Long: `Check that the given files belong to one image: its manifest, its config, the
metadata of its layers, and any layers. The manifest and the config are copied, so
that later actions use only what was checked.`,
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
					return fmt.Errorf("write the checked files: %w", err)
				}
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&parts.Manifest, "manifest", "", "the image's manifest `FILE`")
	flags.StringVar(&parts.Config, "config", "", "the image's config `FILE`")
	flags.StringArrayVar(&parts.Layers, "layer", nil, "metadata `FILE` of a layer, the lowest first")
	flags.StringArrayVar(&blobs, "blob", nil, "`FILE` that must be one of the layers")
	flags.StringVar(&manifestOut, "manifest-out", "", "`FILE` to copy the manifest to")
	flags.StringVar(&configOut, "config-out", "", "`FILE` to copy the config to")
	flags.StringVar(&checked, "checked", "", "`FILE` to write when every check passed")
	require(command, "manifest", "config")
	return command
}
