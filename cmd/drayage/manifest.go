package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/image"
	"github.com/drayage/drayage/internal/layer"
)

func newManifestCommand() *cobra.Command {
	var manifestOut, configOut, digestOut, baseManifest, baseConfig, basePlatformFile, fragment string
	var layers []string
	var texts configTexts
	var spec image.Spec
	var onto basePlatform

	command := &cobra.Command{
		Use:   "manifest",
		Short: "Write an image's manifest and config",
		Long: `Write an image's manifest and config from the metadata of its layers and of its base.
No layer is read.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			var err error
			if spec.Base, err = readBase(baseManifest, baseConfig, basePlatformFile); err != nil {
				return err
			}
			if spec.Layers, err = readLayers(layers); err != nil {
				return err
			}
			if fragment != "" {
				if spec.Fragment, err = readDocument("config fragment", fragment); err != nil {
					return err
				}
			}
			if err := texts.apply(&spec); err != nil {
				return err
			}
			made, err := image.Assemble(spec)
			if err != nil {
				return err
			}
			if err := onto.check(spec.Base, command.ErrOrStderr()); err != nil {
				return err
			}
			if err := os.WriteFile(manifestOut, made.Manifest, 0o644); err != nil { //nolint:gosec // an output of a build action, for everybody
				return fmt.Errorf("write manifest: %w", err)
			}
			if err := os.WriteFile(configOut, made.Config, 0o644); err != nil { //nolint:gosec // an output of a build action, for everybody
				return fmt.Errorf("write config: %w", err)
			}
			return writeDigest(digestOut, made.Manifest)
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&manifestOut, "manifest", "", "`FILE` to write the manifest to")
	flags.StringVar(&configOut, "config", "", "`FILE` to write the config to")
	flags.StringVar(&digestOut, "digest", "", "`FILE` to write the manifest's digest to, as text")
	flags.StringVar(&baseManifest, "base-manifest", "", "manifest `FILE` of the base image")
	flags.StringVar(&baseConfig, "base-config", "", "config `FILE` of the base image")
	flags.StringVar(&basePlatformFile, "base-platform", "", "JSON `FILE` with the base's platform in an index, used where its config gives none")
	flags.StringVar(&fragment, "config-fragment", "", "JSON `FILE` with a part of a config; flags win")
	flags.StringArrayVar(&layers, "layer", nil, "metadata `FILE` of a layer on top of the base, the lowest first")
	flags.StringVar(&spec.Platform, "platform", "linux/amd64", "`os/architecture[/variant]` of an image without a base")
	flags.StringArrayVar(&spec.Entrypoint, "entrypoint", nil, "a word of the entrypoint; "+image.InheritFromBase+" stands for the base's")
	flags.StringArrayVar(&spec.Cmd, "cmd", nil, "a word of the command; "+image.InheritFromBase+" stands for the base's")
	flags.StringArrayVar(&spec.Unset, "unset", nil, "`FIELD` of the base to remove: Entrypoint, Cmd, User, WorkingDir, StopSignal")
	flags.StringArrayVar(&spec.UnsetEnv, "unset-env", nil, "environment variable `NAME` of the base to remove; * matches any letters")
	flags.StringArrayVar(&spec.UnsetLabels, "unset-label", nil, "label `NAME` of the base to remove; * matches any letters")
	flags.StringVar(&spec.User, "user", "", "user, or user:group")
	flags.StringVar(&spec.WorkingDir, "working-dir", "", "working directory")
	flags.StringVar(&spec.StopSignal, "stop-signal", "", "signal that ends the program")
	flags.StringArrayVar(&spec.ExposedPorts, "expose", nil, "port, or port/protocol")
	flags.StringArrayVar(&spec.Volumes, "volume", nil, "`FOLDER` for data")
	texts.addFlags(flags)
	onto.addFlags(flags)
	command.MarkFlagsRequiredTogether("base-manifest", "base-config")
	require(command, "manifest", "config")
	return command
}

// writeDigest writes the digest of a manifest or an index to a file, if there is
// to be one.
func writeDigest(path string, manifest []byte) error {
	if path == "" {
		return nil
	}
	digest := image.Describe("", manifest).Digest.String() + "\n"
	if err := os.WriteFile(path, []byte(digest), 0o644); err != nil { //nolint:gosec // an output of a build action, for everybody
		return fmt.Errorf("write digest: %w", err)
	}
	return nil
}

func readBase(manifest, config, platform string) (*image.Base, error) {
	if manifest == "" {
		return nil, nil
	}
	var base image.Base
	var err error
	if base.Manifest, err = readDocument("manifest of the base", manifest); err != nil {
		return nil, err
	}
	if base.Config, err = readDocument("config of the base", config); err != nil {
		return nil, err
	}
	if platform != "" {
		if base.Platform, err = readDocument("platform of the base", platform); err != nil {
			return nil, err
		}
	}
	return &base, nil
}

func readLayers(paths []string) ([]layer.Metadata, error) {
	var layers []layer.Metadata
	for _, path := range paths {
		l, err := layer.ReadMetadata(path)
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
	}
	return layers, nil
}
