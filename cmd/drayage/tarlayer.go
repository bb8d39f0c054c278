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
		Short: "Make a layer from a tar archive",
		Long: `Make a layer, and its metadata, from a tar archive. The archive may be plain, or
compressed with gzip, zstd, xz or bzip2.

Without --compress the blob is the archive itself, byte for byte. Layers cannot be
compressed with xz or bzip2, so such an archive is compressed anew, as --otherwise
says.

The command refuses a file that is not a tar archive, that is broken, or that
container engines would not unpack.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			in, err := os.Open(archive)
			if err != nil {
				return fmt.Errorf("open archive: %w", err)
			}
			defer func() { _ = in.Close() }()
			if info, err := in.Stat(); err == nil && info.IsDir() {
				return fmt.Errorf("%s is a directory, not a tar archive: put directories into an image_layer", archive)
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
	flags.StringVar(&archive, "archive", "", "the archive `FILE`")
	flags.StringVar(&otherwise, "otherwise", string(layer.Gzip), "compression for an archive that cannot be kept as it is: gzip, zstd or none")
	flags.BoolVar(&options.OtherwiseEStargz, "otherwise-estargz", false, "make the layer of such an archive seekable (eStargz)")
	require(command, "archive")
	return command
}
