package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/image"
)

func newIndexCommand() *cobra.Command {
	var out, digestOut, annotationsFile string
	var manifests, configs, platforms, annotations []string

	command := &cobra.Command{
		Use:   "index",
		Short: "Write an index of images for several platforms",
		Long: `Write an index of images for several platforms, in the given order. The platform of
each image comes from its config.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			images, err := readImages(manifests, configs)
			if err != nil {
				return err
			}
			if err := readPlatforms(images, platforms); err != nil {
				return err
			}
			annotated, err := assignments("--annotation", annotations, "--annotations-file", annotationsFile)
			if err != nil {
				return err
			}
			index, err := image.Index(images, annotated)
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, index, 0o644); err != nil { //nolint:gosec // an output of a build action, for everybody
				return fmt.Errorf("write index: %w", err)
			}
			return writeDigest(digestOut, index)
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&out, "out", "", "`FILE` to write the index to")
	flags.StringVar(&digestOut, "digest", "", "`FILE` to write the index's digest to, as text")
	flags.StringArrayVar(&manifests, "manifest", nil, "manifest `FILE` of an image")
	flags.StringArrayVar(&configs, "config", nil, "config `FILE` of the image; one for each --manifest, in the same order")
	flags.StringArrayVar(&platforms, "platform", nil, "JSON `FILE` with the image's platform in another index, used where its config gives none; may be empty; one for each --manifest, or none at all")
	flags.StringArrayVar(&annotations, "annotation", nil, "annotation `NAME=value` of the index")
	flags.StringVar(&annotationsFile, "annotations-file", "", "`FILE` of NAME=value lines; --annotation wins")
	require(command, "out", "manifest", "config")
	return command
}

// readImages reads the images of which manifests and configs are the halves.
func readImages(manifests, configs []string) ([]image.Image, error) {
	if len(manifests) != len(configs) {
		return nil, fmt.Errorf("--manifest is given %d times and --config %d times: each image must have both", len(manifests), len(configs))
	}
	images := make([]image.Image, len(manifests))
	for i := range images {
		var err error
		if images[i].Manifest, err = readDocument("manifest", manifests[i]); err != nil {
			return nil, err
		}
		if images[i].Config, err = readDocument("config", configs[i]); err != nil {
			return nil, err
		}
	}
	return images, nil
}

// readPlatforms reads what is known of images besides their configs.
func readPlatforms(images []image.Image, platforms []string) (err error) {
	if len(platforms) != 0 && len(platforms) != len(images) {
		return fmt.Errorf("--platform is given %d times and --manifest %d times: give one for each manifest, or none", len(platforms), len(images))
	}
	for i, path := range platforms {
		if path == "" {
			continue
		}
		if images[i].Platform, err = readDocument("platform", path); err != nil {
			return err
		}
	}
	return nil
}
