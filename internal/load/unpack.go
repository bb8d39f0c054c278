package load

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	diffpb "github.com/containerd/containerd/api/services/diff/v1"
	snapshotspb "github.com/containerd/containerd/api/services/snapshots/v1"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// unpackAll lets containerd unpack the layers of one image: the image that was asked
// for, or the host's if there are several. If containerd cannot, the image is loaded
// nevertheless, and the runtime unpacks it at its first use.
func (c *Containerd) unpackAll(ctx context.Context, i *Image, result *Result) error {
	r, found := unpackable(i.Platforms)
	if !found {
		return nil
	}
	err := c.unpack(ctx, r)
	if _, wrong := errors.AsType[*wrongLayerError](err); wrong || ctx.Err() != nil {
		return err
	}
	if err != nil {
		result.NotUnpacked = status.Convert(err).Message()
		return nil
	}
	result.Unpacked = c.opts.Snapshotter
	return nil
}

// unpackable is the image to unpack.
func unpackable(platforms []Runnable) (Runnable, bool) {
	if len(platforms) == 1 {
		return platforms[0], true
	}
	r, err := choose(platforms, "")
	return r, err == nil
}

// wrongLayerError says that an image's config does not match its layers.
type wrongLayerError struct {
	layer     v1.Descriptor
	want, got string
}

func (e *wrongLayerError) Error() string {
	return fmt.Sprintf("%s unpacks to %s, but the image's config says %s: build the image again", describe(e.layer), e.got, e.want)
}

// unpack makes the missing snapshots, one for each layer.
func (c *Containerd) unpack(ctx context.Context, r Runnable) error {
	if len(r.Layers) == 0 {
		return nil
	}
	chain := chainIDs(r.diffIDs)
	top := chain[len(chain)-1]
	there, err := c.hasSnapshot(ctx, top)
	if err != nil {
		return err
	}
	parent := ""
	for n := 0; n < len(chain) && !there; n++ {
		if err := c.unpackLayer(ctx, r.Layers[n], r.diffIDs[n].String(), parent, chain[n]); err != nil {
			return err
		}
		parent = chain[n]
	}
	return c.label(ctx, r.Config, map[string]string{refersToSnapshot + c.opts.Snapshotter: top})
}

func (c *Containerd) hasSnapshot(ctx context.Context, name string) (bool, error) {
	_, err := c.snapshots.Stat(ctx, &snapshotspb.StatSnapshotRequest{Snapshotter: c.opts.Snapshotter, Key: name})
	if status.Code(err) == codes.NotFound {
		return false, nil
	}
	return err == nil, err
}

// unpackLayer makes the snapshot of one layer, if it is not there.
func (c *Containerd) unpackLayer(ctx context.Context, layer v1.Descriptor, diffID, parent, chainID string) (err error) {
	if there, err := c.hasSnapshot(ctx, chainID); there || err != nil {
		return err
	}
	key := "extract-drayage-" + rand.Text() + " " + chainID
	prepared, err := c.snapshots.Prepare(ctx, &snapshotspb.PrepareSnapshotRequest{
		Snapshotter: c.opts.Snapshotter, Key: key, Parent: parent,
		// For snapshotters that have the layer already without its bytes.
		Labels: map[string]string{"containerd.io/snapshot.ref": chainID},
	})
	if status.Code(err) == codes.AlreadyExists {
		return nil
	}
	if err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
			defer cancel()
			if _, gone := c.snapshots.Remove(ctx, &snapshotspb.RemoveSnapshotRequest{Snapshotter: c.opts.Snapshotter, Key: key}); gone != nil {
				c.opts.Logger.Debug().Err(gone).Str("key", key).Msg("could not remove a snapshot")
			}
		}
	}()
	applied, err := c.diff.Apply(ctx, &diffpb.ApplyRequest{Diff: wireDescriptor(layer), Mounts: prepared.GetMounts()})
	if err != nil {
		return err
	}
	if got := applied.GetApplied().GetDigest(); got != diffID {
		return &wrongLayerError{layer: layer, want: diffID, got: got}
	}
	_, err = c.snapshots.Commit(ctx, &snapshotspb.CommitSnapshotRequest{Snapshotter: c.opts.Snapshotter, Name: chainID, Key: key})
	if status.Code(err) != codes.AlreadyExists { // somebody else was faster
		if err != nil {
			return err
		}
		committed = true
	}
	return c.label(ctx, layer, map[string]string{uncompressed: diffID})
}

// chainIDs name stacks of layers: the first, the first two, and so on (OCI image
// spec, "Layer ChainID").
func chainIDs(diffIDs []v1.Hash) []string {
	ids := make([]string, len(diffIDs))
	for n, diffID := range diffIDs {
		ids[n] = diffID.String()
		if n > 0 {
			sum := sha256.Sum256([]byte(ids[n-1] + " " + diffID.String()))
			ids[n] = "sha256:" + hex.EncodeToString(sum[:])
		}
	}
	return ids
}
