package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/layer"
)

func newLayerCommand() *cobra.Command {
	var list, out, metadata, compression string
	var options layer.Options

	command := &cobra.Command{
		Use:   "layer",
		Short: "Write a layer and its metadata",
		Long: `Write a layer's blob, and a small file of metadata that stands for it in the rest
of the build.

The list has one entry a line, fields parted by tabs:

  file  MODE  PATH  SOURCE    a file; all that is below SOURCE if it is a directory
  empty MODE  PATH            an empty file
  link  PATH  TARGET          a symbolic link
  dir   MODE  PATH            a directory`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			options.Compression = layer.Compression(compression)
			return makeLayer(list, out, metadata, options)
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&list, "list", "", "file that lists the entries")
	flags.StringVar(&out, "out", "", "where the blob goes")
	flags.StringVar(&metadata, "metadata", "", "where the metadata go")
	flags.StringVar(&compression, "compress", string(layer.Gzip), "gzip, zstd or none")
	flags.StringVar(&options.DigestFunction, "digest-function", "sha256", "the build's --digest_function: sha256 or blake3")
	require(command, "list", "out", "metadata")
	return command
}

func makeLayer(list, out, metadata string, options layer.Options) (err error) {
	listed, err := os.Open(list)
	if err != nil {
		return fmt.Errorf("open list: %w", err)
	}
	defer func() { _ = listed.Close() }()
	entries, err := layer.ReadList(listed)
	if err != nil {
		return fmt.Errorf("list %s: %w", list, err)
	}
	blob, err := os.Create(out)
	if err != nil {
		return fmt.Errorf("create layer: %w", err)
	}
	defer func() { err = errors.Join(err, blob.Close()) }()
	made, err := layer.Write(blob, entries, options)
	if err != nil {
		return err
	}
	return made.WriteFile(metadata)
}

// require marks flags that have to be given.
func require(command *cobra.Command, flags ...string) {
	for _, flag := range flags {
		if err := command.MarkFlagRequired(flag); err != nil {
			panic(err) // the flag does not exist: a mistake in this program
		}
	}
}
