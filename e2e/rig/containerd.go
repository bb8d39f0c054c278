package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	contentpb "github.com/containerd/containerd/api/services/content/v1"
	imagespb "github.com/containerd/containerd/api/services/images/v1"
	snapshotspb "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Containerd is a containerd, and a view of one of its namespaces.
type Containerd struct {
	*Process

	// Address is the path of its socket.
	Address string
	// Namespace is the one that is looked at.
	Namespace string

	conn *grpc.ClientConn
}

const containerdConfig = `version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = %q
[ttrpc]
address = %q
[plugins."io.containerd.internal.v1.opt"]
path = %q
[plugins."io.containerd.gc.v1.scheduler"]
schedule_delay = "0s"
startup_delay = "0s"
`

// StartContainerd starts an empty containerd, whose collector does not wait. It
// can be done by root alone, who may mount.
func StartContainerd(t T) *Containerd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatalf("start containerd: this is user %d, and containerd mounts file systems, which takes root: run this test as root (go test -exec sudo), or leave it out with -skip", os.Geteuid())
	}
	dir := TempDir(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	c := &Containerd{Address: at("containerd.sock"), Namespace: "default"}
	file := at("config.toml")
	config := fmt.Appendf(nil, containerdConfig, at("root"), at("state"), c.Address, at("ttrpc.sock"), at("opt"))
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatalf("write containerd's configuration: %v", err)
	}
	c.Process = start(t, dir, "containerd", exec.Command(Tool(t, "containerd"), "--config", file))
	conn, err := grpc.NewClient("unix:"+c.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatalf("connect to containerd: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c.conn = conn
	c.ready(t, func(ctx context.Context) error {
		_, err := imagespb.NewImagesClient(conn).List(c.in(ctx), &imagespb.ListImagesRequest{})
		return err
	})
	return c
}

// In is the same containerd, seen in another namespace.
func (c *Containerd) In(namespace string) *Containerd {
	other := *c
	other.Namespace = namespace
	return &other
}

func (c *Containerd) in(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "containerd-namespace", c.Namespace)
}

// Image is the digest that a name points to, or "".
func (c *Containerd) Image(t T, name string) string {
	t.Helper()
	answer, err := imagespb.NewImagesClient(c.conn).Get(c.in(t.Context()), &imagespb.GetImageRequest{Name: name})
	if status.Code(err) == codes.NotFound {
		return ""
	}
	if err != nil {
		t.Fatalf("look up image %s: %v", name, err)
	}
	return answer.GetImage().GetTarget().GetDigest()
}

// RemoveImage removes a name, and has what nothing refers to now collected.
func (c *Containerd) RemoveImage(t T, name string) {
	t.Helper()
	if _, err := imagespb.NewImagesClient(c.conn).Delete(c.in(t.Context()), &imagespb.DeleteImageRequest{Name: name, Sync: true}); err != nil {
		t.Fatalf("remove image %s: %v", name, err)
	}
}

// Content lists the digests of the content store, sorted.
func (c *Containerd) Content(t T) []string {
	t.Helper()
	stream, err := contentpb.NewContentClient(c.conn).List(c.in(t.Context()), &contentpb.ListContentRequest{})
	if err != nil {
		t.Fatalf("list content: %v", err)
	}
	var digests []string
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			slices.Sort(digests)
			return digests
		}
		if err != nil {
			t.Fatalf("list content: %v", err)
		}
		for _, info := range answer.GetInfo() {
			digests = append(digests, info.GetDigest())
		}
	}
}

// ReadContent reads a blob of the content store.
func (c *Containerd) ReadContent(t T, digest string) []byte {
	t.Helper()
	stream, err := contentpb.NewContentClient(c.conn).Read(c.in(t.Context()), &contentpb.ReadContentRequest{Digest: digest})
	if err != nil {
		t.Fatalf("read %s: %v", digest, err)
	}
	var data bytes.Buffer
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return data.Bytes()
		}
		if err != nil {
			t.Fatalf("read %s: %v", digest, err)
		}
		data.Write(answer.GetData())
	}
}

// Ingests are the blobs that are being written, or whose writing broke off, with
// the number of bytes that are there.
func (c *Containerd) Ingests(t T) map[string]int64 {
	t.Helper()
	answer, err := contentpb.NewContentClient(c.conn).ListStatuses(c.in(t.Context()), &contentpb.ListStatusesRequest{})
	if err != nil {
		t.Fatalf("list ingests: %v", err)
	}
	ingests := map[string]int64{}
	for _, s := range answer.GetStatuses() {
		ingests[s.GetRef()] = s.GetOffset()
	}
	return ingests
}

// Snapshots lists the committed snapshots of a snapshotter, sorted.
func (c *Containerd) Snapshots(t T, snapshotter string) []string {
	t.Helper()
	stream, err := snapshotspb.NewSnapshotsClient(c.conn).List(c.in(t.Context()), &snapshotspb.ListSnapshotsRequest{Snapshotter: snapshotter})
	if err != nil {
		t.Fatalf("list snapshots: %v", err)
	}
	var names []string
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			slices.Sort(names)
			return names
		}
		if err != nil {
			t.Fatalf("list snapshots: %v", err)
		}
		for _, info := range answer.GetInfo() {
			names = append(names, info.GetName())
		}
	}
}

// FileSystem is the folder with the file system of the only image that was
// unpacked for the native snapshotter, as containerd unpacked it.
func (c *Containerd) FileSystem(t T) string {
	t.Helper()
	const snapshotter = "native"
	client := snapshotspb.NewSnapshotsClient(c.conn)
	stream, err := client.List(c.in(t.Context()), &snapshotspb.ListSnapshotsRequest{Snapshotter: snapshotter})
	if err != nil {
		t.Fatalf("list snapshots: %v", err)
	}
	parents, names := map[string]bool{}, []string{}
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("list snapshots: %v", err)
		}
		for _, info := range answer.GetInfo() {
			names, parents[info.GetParent()] = append(names, info.GetName()), true
		}
	}
	top := slices.DeleteFunc(names, func(name string) bool { return parents[name] })
	if len(top) != 1 {
		t.Fatalf("containerd has the images %v", top)
	}
	view, err := client.View(c.in(t.Context()), &snapshotspb.ViewSnapshotRequest{Snapshotter: snapshotter, Key: "view", Parent: top[0]})
	if err != nil {
		t.Fatalf("view %s: %v", top[0], err)
	}
	return view.GetMounts()[0].GetSource()
}
