package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/pull"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/version"
)

func newPullCommand() *cobra.Command {
	var request pull.Request
	var out string
	var layers bool
	var reached registryFlags

	command := &cobra.Command{
		Use:   "pull",
		Short: "Fetch the metadata of a base image",
		Long: `Fetch the manifests and configs of an image, and write the metadata of its layers. The
layers stay in the registry, unless --layers asks for them.

Credentials come from the configuration of docker and podman, and from the credential
helpers named there. A list of the written files is printed as JSON.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			hosts, err := reached.hosts()
			if err != nil {
				return err
			}
			client := registry.New(registry.Options{Hosts: hosts})
			defer client.Close()
			request.Transport = client.RoundTripper()
			images, err := pull.Pull(command.Context(), request,
				remote.WithAuthFromKeychain(registry.DefaultKeychain()), remote.WithUserAgent("drayage/"+version.String()))
			if err != nil {
				return withoutTokens(err)
			}
			written, err := pull.Write(out, images, layers)
			if err != nil {
				return err
			}
			if err := json.MarshalWrite(command.OutOrStdout(), written); err != nil {
				return fmt.Errorf("print the list of written files: %w", err)
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&request.Registry, "registry", "", "`HOST` of the registry")
	flags.StringVar(&request.Repository, "repository", "", "`NAME` of the repository")
	flags.StringVar(&request.Digest, "digest", "", "digest of the manifest or index")
	flags.StringVar(&request.Tag, "tag", "", "tag; without --digest, the error message gives its digest")
	flags.StringArrayVar(&request.Mirrors, "mirror", nil, "`HOST[/PATH]` of a mirror to ask before the registry")
	flags.StringArrayVar(&request.Platforms, "platform", nil, "`os/architecture[/variant]` to fetch (default: all)")
	flags.BoolVar(&layers, "layers", false, "also fetch the layers")
	flags.BoolVar(&request.Nondistributable, "nondistributable", false, "with --layers: also fetch nondistributable layers, from the registry or from their urls")
	flags.StringVar(&out, "out", ".", "`FOLDER` to write to")
	flags.StringVar(&reached.file, "registries", os.Getenv("DRAYAGE_REGISTRIES"), "YAML `FILE` with settings of registries; DRAYAGE_REGISTRIES sets the default")
	require(command, "registry", "repository")
	return command
}

// withoutTokens leaves out what a token service answered. The library puts all of it into
// its error where there is no token, and there may be a refresh token.
func withoutTokens(err error) error {
	const words = "no token in bearer response"
	if before, _, found := strings.Cut(err.Error(), words); found {
		return errors.New(before + words + " (the rest of the answer is not shown: it may hold secrets)")
	}
	return err
}
