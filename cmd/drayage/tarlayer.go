package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/layer"
)

func newTarLayerCommand() *cobra.Command {
	var archive, otherwise string
	var common layerFlags
	var options layer.ArchiveOptions

	command := &cobra.Command{
		Use:   "tar-layer",
		Short: "Make a layer of an archive that is there",
		Long: `Make a layer of a tar archive that is there, and its metadata. The archive may be
plain, or compressed with gzip, zstd, xz or bzip2.

Without --compress the blob is the archive as it is, to the byte, unless no layer
may be so: what is compressed with xz or bzip2 is compressed anew, as --otherwise
says.

A file that is no tar archive, or that is broken, or that container engines would
not unpack, is refused.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			in, err := os.Open(archive)
			if err != nil {
				return fmt.Errorf("open archive: %w", err)
			}
			defer func() { _ = in.Close() }()
			if info, err := in.Stat(); err == nil && info.IsDir() {
				return fmt.Errorf("%s: this is a directory, and no tar archive; directories go into an image_layer", archive)
			}
			options.Otherwise = layer.Compression(otherwise)
			options.Warn = func(text string) {
				fmt.Fprintf(command.ErrOrStderr(), "drayage: warning: %s: %s\n", archive, text)
			}
			return common.make(func(w io.Writer, written layer.Options) (layer.Metadata, error) {
				options.Options = written
				m, err := layer.FromTar(w, in, options)
				if err != nil {
					return m, fmt.Errorf("%s: %w", archive, err)
				}
				return m, nil
			})
		},
	}
	flags := common.add(command, "")
	flags.StringVar(&archive, "archive", "", "the archive")
	flags.StringVar(&otherwise, "otherwise", string(layer.Gzip), "gzip, zstd or none, for an archive that cannot be kept as it is")
	flags.BoolVar(&options.OtherwiseEStargz, "otherwise-estargz", false, "make the layer of such an archive seekable")
	require(command, "archive")
	return command
}
