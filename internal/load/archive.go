package load

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The annotations of an OCI image layout by which runtimes name what they load:
// the first is containerd's and docker's, the second the image spec's.
const (
	annotationName = "io.containerd.image.name"
	annotationRef  = "org.opencontainers.image.ref.name"
)

// writeArchive writes an image as a tar archive that docker and podman load, and
// returns the digest of its root. The archive is an OCI image layout (image spec,
// "OCI Image Layout"). An image for one platform is also in docker's older form,
// which names the same files. Layers are streamed: no layer is kept in memory.
//
// The files that make the archive an image come last, so that an archive that breaks
// off, or has a wrong blob, is not an image.
func writeArchive(ctx context.Context, w io.Writer, i *Image, names []string, from Sources) (v1.Hash, error) {
	a := archive{tar.NewWriter(w)}
	root := i.Root
	manifests := i.Manifests
	if len(i.Platforms) == 1 {
		root = i.Platforms[0].Manifest
		manifests = []v1.Descriptor{root}
	}
	if err := a.file("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return v1.Hash{}, err
	}
	for _, blob := range i.Blobs {
		r, err := from.open(ctx, blob, 0)
		if err == nil {
			err = a.blob(blob.Descriptor, r)
		}
		if err != nil {
			return v1.Hash{}, err
		}
	}
	for _, m := range manifests {
		if err := a.file(blobPath(m.Digest), m.Data); err != nil {
			return v1.Hash{}, err
		}
	}
	if err := a.describe(root, i.Platforms, names); err != nil {
		return v1.Hash{}, err
	}
	if err := a.tar.Close(); err != nil {
		return v1.Hash{}, fmt.Errorf("write archive: %w", err)
	}
	return root.Digest, nil
}

type archive struct{ tar *tar.Writer }

func blobPath(digest v1.Hash) string { return "blobs/" + digest.Algorithm + "/" + digest.Hex }

func (a archive) header(path string, size int64) error {
	err := a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o644, Size: size, Format: tar.FormatPAX})
	if err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return nil
}

func (a archive) file(path string, data []byte) error {
	if err := a.header(path, int64(len(data))); err != nil {
		return err
	}
	if _, err := a.tar.Write(data); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return nil
}

// blob writes a blob, and checks its size and digest.
func (a archive) blob(d v1.Descriptor, r io.ReadCloser) error {
	defer func() { _ = r.Close() }()
	if err := a.header(blobPath(d.Digest), d.Size); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.CopyBuffer(a.tar, io.TeeReader(io.LimitReader(r, d.Size), sum), make([]byte, chunk))
	if err != nil {
		return fmt.Errorf("%s: %w", describe(d), err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != d.Size || got != d.Digest.Hex {
		return wrongBytes(d, fmt.Sprintf("%d bytes with the digest sha256:%s", n, got))
	}
	return nil
}

// describe writes the files that make the archive an image.
func (a archive) describe(root v1.Descriptor, platforms []Runnable, names []string) error {
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	for _, full := range names {
		entry := v1.Descriptor{MediaType: root.MediaType, Digest: root.Digest, Size: root.Size, Annotations: maps.Clone(root.Annotations)}
		if len(platforms) == 1 {
			entry.Platform = &platforms[0].Platform
		}
		if entry.Annotations == nil {
			entry.Annotations = map[string]string{}
		}
		entry.Annotations[annotationName] = full
		if tag, err := name.NewTag(full); err == nil {
			entry.Annotations[annotationRef] = tag.TagStr()
		}
		index.Manifests = append(index.Manifests, entry)
	}
	data, err := json.Marshal(index, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	if err := a.file("index.json", data); err != nil || len(platforms) != 1 {
		return err
	}
	// Docker's older form has one platform, and tags only.
	image := dockerImage{Config: blobPath(platforms[0].Config.Digest), RepoTags: []string{}}
	for _, layer := range platforms[0].Layers {
		image.Layers = append(image.Layers, blobPath(layer.Digest))
	}
	for _, full := range names {
		if !strings.Contains(full, "@") {
			image.RepoTags = append(image.RepoTags, full)
		}
	}
	if data, err = json.Marshal([]dockerImage{image}); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return a.file("manifest.json", data)
}

// dockerImage is an entry of manifest.json, as `docker save` writes it.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func wrongBytes(d v1.Descriptor, got string) error {
	return fmt.Errorf("%s: its source delivered other content: %s; nothing was loaded; rebuild the target, and check the storage of the cache", describe(d), got)
}
