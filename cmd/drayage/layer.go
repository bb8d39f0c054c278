package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/drayage/internal/layer"
)

// layerFlags are what layers have in common, whatever they are made of.
type layerFlags struct {
	out, metadata, compression string
	annotations                []string
	options                    layer.Options
}

func (f *layerFlags) add(command *cobra.Command, compression string) *pflag.FlagSet {
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.out, "out", "", "where the blob goes")
	flags.StringVar(&f.metadata, "metadata", "", "where the metadata go")
	flags.StringVar(&f.compression, "compress", compression, "gzip, zstd or none")
	flags.IntVar(&f.options.Level, "level", 0, "1 to 9 for gzip, 1 to 22 for zstd; 0 is the default, 6 or 1")
	flags.BoolVar(&f.options.EStargz, "estargz", false, "make a gzip layer seekable")
	flags.StringArrayVar(&f.annotations, "annotation", nil, "NAME=value, of the layer in the manifest")
	flags.StringVar(&f.options.DigestFunction, "digest-function", "sha256", "the build's --digest_function: sha256 or blake3")
	require(command, "out", "metadata")
	return flags
}

// make writes the blob that write writes, and its metadata.
func (f *layerFlags) make(write func(io.Writer, layer.Options) (layer.Metadata, error)) (err error) {
	annotations, err := pairs("--annotation", f.annotations)
	if err != nil {
		return err
	}
	f.options.Compression = layer.Compression(f.compression)
	f.options.Scratch = filepath.Dir(f.out)
	blob, err := os.Create(f.out)
	if err != nil {
		return fmt.Errorf("create layer: %w", err)
	}
	defer func() { err = errors.Join(err, blob.Close()) }()
	made, err := write(blob, f.options)
	if err != nil {
		return err
	}
	if annotations != nil {
		// What the layer says of itself, of its table of contents say, is a fact.
		maps.Copy(annotations, made.Annotations)
		made.Annotations = annotations
	}
	return made.WriteFile(f.metadata)
}

func newLayerCommand() *cobra.Command {
	var list string
	var common layerFlags

	command := &cobra.Command{
		Use:   "layer",
		Short: "Write a layer and its metadata",
		Long: `Write a layer's blob, and a small file of metadata that stands for it in the rest
of the build.

The list has one entry a line, fields parted by tabs:

  put    MODE FOLDER KIND NAME SOURCE   what SOURCE holds, at FOLDER/NAME
  link   PATH TARGET                    a symbolic link
  dir    MODE PATH                      a directory
  remove PATH                           the end of what the layers below have there
  mode   MODE PATTERN                   the mode of files whose paths match

KIND is file for what is in the sources, tree for a directory that an action made,
output for anything else that an action made, symlink for a symbolic link, and empty
for an empty file. MODE is octal; a question mark after it lets mode lines win.

More fields are attributes: uid=N, gid=N, mtime=TIME (seconds since 1970, or
2006-01-02T15:04:05Z), xattr:NAME=VALUE (text, 0x and hexadecimal digits, or 0s and
base64). A put can have strip=PREFIX, which its name begins with, and own=folder,
which gives the folder the same owner.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			listed, err := os.Open(list)
			if err != nil {
				return fmt.Errorf("open list: %w", err)
			}
			defer func() { _ = listed.Close() }()
			entries, err := layer.ReadList(listed)
			if err != nil {
				return fmt.Errorf("list %s: %w", list, err)
			}
			return common.make(func(w io.Writer, options layer.Options) (layer.Metadata, error) {
				return layer.Write(w, entries, options)
			})
		},
	}
	command.Flags().StringVar(&list, "list", "", "file that lists the entries")
	flags := common.add(command, string(layer.Gzip))
	flags.BoolVar(&common.options.Copies, "copies", false, "write files that are alike in full, and not as hard links")
	flags.BoolVar(&common.options.Parents, "parents", false, "write an entry for each parent directory that has none")
	require(command, "list")
	return command
}

// require marks flags that have to be given.
func require(command *cobra.Command, flags ...string) {
	for _, flag := range flags {
		if err := command.MarkFlagRequired(flag); err != nil {
			panic(err) // the flag does not exist: a mistake in this program
		}
	}
}
