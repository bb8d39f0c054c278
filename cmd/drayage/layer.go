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
	flags.StringVar(&f.out, "out", "", "`FILE` to write the blob to")
	flags.StringVar(&f.metadata, "metadata", "", "`FILE` to write the metadata to")
	flags.StringVar(&f.compression, "compress", compression, "compression: gzip, zstd or none")
	flags.IntVar(&f.options.Level, "level", 0, "compression level: 1 to 9 for gzip, 1 to 22 for zstd; 0 means 6 for gzip and 1 for zstd")
	flags.BoolVar(&f.options.EStargz, "estargz", false, "make a gzip layer seekable (eStargz)")
	flags.StringArrayVar(&f.annotations, "annotation", nil, "annotation `NAME=value` of the layer in manifests")
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
		Long: `Write a layer's blob, and a small metadata file that stands for it in the rest of the
build.

The list has one entry per line. Tabs separate its fields:

  put    MODE FOLDER KIND NAME SOURCE   put the content of SOURCE at FOLDER/NAME
  link   PATH TARGET                    make a symbolic link
  dir    MODE PATH                      make a directory
  remove PATH                           remove what lower layers have at PATH
  mode   MODE PATTERN                   set the mode of files whose paths match

KIND is file for a source file, tree for a directory that an action made, output for
anything else that an action made, symlink for a symbolic link, and empty for an empty
file. MODE is octal; with a question mark after it, mode lines win.

Further fields are attributes: uid=N, gid=N, mtime=TIME (seconds since 1970, or
2006-01-02T15:04:05Z), xattr:NAME=VALUE (text, 0x with hexadecimal digits, or 0s with
base64). A put entry may also have strip=PREFIX, which is removed from its name, and
own=folder, which gives the folder the same owner.`,
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
	command.Flags().StringVar(&list, "list", "", "`FILE` that lists the entries")
	flags := common.add(command, string(layer.Gzip))
	flags.BoolVar(&common.options.Copies, "copies", false, "write equal files in full instead of as hard links")
	flags.BoolVar(&common.options.Parents, "parents", false, "add an entry for each parent directory that has none")
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
