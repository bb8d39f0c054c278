package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/image"
	"github.com/drayage/drayage/internal/layer"
)

// titleAnnotation is a file's name (OCI image spec, "Pre-Defined Annotation Keys").
const titleAnnotation = "org.opencontainers.image.title"

func newBlobCommand() *cobra.Command {
	var file, out, metadata, mediaType, title string
	var options layer.Options
	command := &cobra.Command{
		Use:   "blob",
		Short: "Copy a file of an artifact, and write its metadata",
		Long: `Copy a file that becomes a blob of an artifact, and write a small metadata file that
stands for it in the rest of the build.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) (err error) {
			in, err := os.Open(file)
			if err != nil {
				return fmt.Errorf("open file: %w", err)
			}
			defer func() { _ = in.Close() }()
			blob, err := os.Create(out)
			if err != nil {
				return fmt.Errorf("create blob: %w", err)
			}
			defer func() { err = errors.Join(err, blob.Close()) }()
			made, err := layer.File(blob, in, mediaType, options)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			if title == "" {
				title = filepath.Base(file)
			}
			made.Annotations = map[string]string{titleAnnotation: title}
			return made.WriteFile(metadata)
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&file, "file", "", "the `FILE` to copy")
	flags.StringVar(&out, "out", "", "`FILE` to write the copy to")
	flags.StringVar(&metadata, "metadata", "", "`FILE` to write the metadata to")
	flags.StringVar(&mediaType, "media-type", "", "media `TYPE` of the file")
	flags.StringVar(&title, "title", "", "`NAME` of the file in the artifact (default: its own name)")
	flags.StringVar(&options.DigestFunction, "digest-function", "sha256", "the build's --digest_function: sha256 or blake3")
	require(command, "file", "out", "metadata", "media-type")
	return command
}

func newReferrerCommand() *cobra.Command {
	var out, subject string
	var files, annotations []string
	var artifact image.Artifact
	command := &cobra.Command{
		Use:   "referrer",
		Short: "Write the manifest of an artifact that refers to an image",
		Long: `Write the manifest of an artifact, such as a bill of materials, whose subject is an
image or an index. Registries list it among the subject's referrers.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			about, err := readSubject(subject)
			if err != nil {
				return err
			}
			if artifact.Files, err = readLayers(files); err != nil {
				return err
			}
			if artifact.Annotations, err = pairs("--annotation", annotations); err != nil {
				return err
			}
			manifest, err := image.Referrer(about, artifact)
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, manifest, 0o644); err != nil { //nolint:gosec // an output of a build action, for everybody
				return fmt.Errorf("write manifest of artifact: %w", err)
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&out, "out", "", "`FILE` to write the manifest to")
	flags.StringVar(&subject, "subject", "", "`FILE` with the manifest or index that the artifact is about")
	flags.StringVar(&artifact.Type, "artifact-type", "", "media `TYPE` of the artifact")
	flags.StringArrayVar(&files, "file", nil, "metadata `FILE` of a file, as drayage blob writes it")
	flags.StringArrayVar(&annotations, "annotation", nil, "annotation `NAME=value` of the manifest")
	require(command, "out", "subject", "artifact-type", "file")
	return command
}

// readSubject describes a manifest or an index.
func readSubject(path string) (v1.Descriptor, error) {
	data, err := readDocument("subject", path)
	if err != nil {
		return v1.Descriptor{}, err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("read subject: %w", err)
	}
	mediaType := manifest.MediaType
	if mediaType == "" {
		mediaType = types.OCIManifestSchema1 // the field is optional in the OCI image spec
	}
	return image.Describe(mediaType, data), nil
}
