package load

import (
	"context"
	"fmt"
	"maps"
	"slices"

	contentpb "github.com/containerd/containerd/api/services/content/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// What labels tell containerd's garbage collector (its docs/garbage-collection.md).
const (
	refersToContent  = "containerd.io/gc.ref.content."
	refersToSnapshot = "containerd.io/gc.ref.snapshot."
	// uncompressed is the digest of a layer's archive.
	uncompressed = "containerd.io/uncompressed"
)

// children are the labels that keep what a manifest refers to. Their names are those
// of containerd's own client.
func children(manifest v1.Descriptor) (map[string]string, error) {
	var doc document
	if err := json.Unmarshal(manifest.Data, &doc); err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", manifest.Digest, err)
	}
	labels := map[string]string{}
	for n, d := range doc.Manifests {
		labels[fmt.Sprintf("%sm.%d", refersToContent, n)] = d.Digest.String()
	}
	if !manifest.MediaType.IsIndex() {
		labels[refersToContent+"config"] = doc.Config.Digest.String()
	}
	for n, d := range doc.Layers {
		labels[fmt.Sprintf("%sl.%d", refersToContent, n)] = d.Digest.String()
	}
	return labels, nil
}

// label adds labels to a blob that is there, unless it has them.
func (c *Containerd) label(ctx context.Context, d v1.Descriptor, labels map[string]string) error {
	answer, err := c.content.Info(ctx, &contentpb.InfoRequest{Digest: d.Digest.String()})
	if err != nil {
		return c.failure("look up "+describe(d), err)
	}
	has := answer.GetInfo().GetLabels()
	var lacking []string
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		if has[label] != labels[label] {
			lacking = append(lacking, "labels."+label)
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	_, err = c.content.Update(ctx, &contentpb.UpdateRequest{
		Info: &contentpb.Info{Digest: d.Digest.String(), Labels: labels}, UpdateMask: mask(lacking...),
	})
	if err != nil {
		return c.failure("label "+describe(d), err)
	}
	return nil
}

func mask(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }

func wireDescriptor(d v1.Descriptor) *types.Descriptor {
	return &types.Descriptor{MediaType: string(d.MediaType), Digest: d.Digest.String(), Size: d.Size}
}
