package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	bspb "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	sharedLayers = 3
	sharedSize   = 20 << 20
	ownSize      = 256 << 10
	bigSize      = 200 << 20
)

// plan is what an uploader has to do. It is handed to its process in a file.
type plan struct {
	CAS, Registry, Case, Uploader string
	Workers                       int
	// Small and Big are the images; those of Small begin with the shared layers.
	Small, Big []image
}

type image struct {
	Layers   []v1.Descriptor
	Config   []byte
	Manifest []byte
}

func (p *plan) write(file string) error {
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return os.WriteFile(file, data, 0o600)
}

// images are those of the plan's case, with their repositories.
func (p *plan) images() ([]image, func(int) string) {
	switch p.Case {
	case "one repository", "one repository, again":
		return p.Small, func(int) string { return "acme/all" }
	case "large layers":
		return p.Big, func(int) string { return "acme/big" }
	}
	return p.Small[:p.count(p.Uploader, p.Case)], func(i int) string { return fmt.Sprintf("acme/app-%d", i) }
}

// plainImages is how many images remote.Write takes to repositories of their own: it
// does not mount by itself, and sends each the shared layers, 60 MiB.
const plainImages = 100

// count is how many images an uploader has to write in a case.
func (p *plan) count(uploader, name string) int {
	switch {
	case name == "large layers":
		return len(p.Big)
	case uploader == "ggcr" && strings.HasPrefix(name, "own repositories"):
		return min(plainImages, len(p.Small))
	}
	return len(p.Small)
}

func tag(i int) string { return fmt.Sprintf("image-%d", i) }

func (p *plan) shared() map[string]bool {
	shared := map[string]bool{}
	for _, layer := range p.Small[0].Layers[:sharedLayers] {
		shared[layer.Digest.String()] = true
	}
	return shared
}

// makePlan makes the images and puts their layers into the cache.
func makePlan(ctx context.Context, cache string, o options) (*plan, error) {
	conn, err := grpc.NewClient(cache, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("dial cache: %w", err)
	}
	defer conn.Close()
	p := &plan{}
	var base []v1.Descriptor
	for i := range sharedLayers {
		layer, err := putLarge(ctx, conn, uint64(i), sharedSize)
		if err != nil {
			return nil, err
		}
		base = append(base, layer)
	}
	batch := &repb.BatchUpdateBlobsRequest{}
	for i := range o.images {
		data := make([]byte, ownSize)
		noise(1000 + uint64(i)).Read(data)
		layer := describe(types.OCILayer, data)
		batch.Requests = append(batch.Requests, &repb.BatchUpdateBlobsRequest_Request{
			Digest: &repb.Digest{Hash: layer.Digest.Hex, SizeBytes: layer.Size}, Data: data})
		if len(batch.Requests) == 10 || i == o.images-1 {
			if _, err := repb.NewContentAddressableStorageClient(conn).BatchUpdateBlobs(ctx, batch); err != nil {
				return nil, fmt.Errorf("fill cache: %w", err)
			}
			batch.Requests = nil
		}
		made, err := makeImage(append(base[:sharedLayers:sharedLayers], layer))
		if err != nil {
			return nil, err
		}
		p.Small = append(p.Small, made)
	}
	for i := range o.bigImages {
		layer, err := putLarge(ctx, conn, 100_000+uint64(i), bigSize)
		if err != nil {
			return nil, err
		}
		made, err := makeImage([]v1.Descriptor{layer})
		if err != nil {
			return nil, err
		}
		p.Big = append(p.Big, made)
	}
	return p, nil
}

func noise(seed uint64) *rand.ChaCha8 {
	return rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
}

func describe(mediaType types.MediaType, data []byte) v1.Descriptor {
	sum := sha256.Sum256(data)
	return v1.Descriptor{MediaType: mediaType, Size: int64(len(data)), Digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}}
}

func makeImage(layers []v1.Descriptor) (image, error) {
	var diffIDs []v1.Hash
	for _, layer := range layers {
		diffIDs = append(diffIDs, layer.Digest)
	}
	config, err := json.Marshal(v1.ConfigFile{Architecture: "amd64", OS: "linux", RootFS: v1.RootFS{Type: "layers", DiffIDs: diffIDs}})
	if err != nil {
		return image{}, fmt.Errorf("make config: %w", err)
	}
	manifest, err := json.Marshal(v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: describe(types.OCIConfigJSON, config), Layers: layers})
	if err != nil {
		return image{}, fmt.Errorf("make manifest: %w", err)
	}
	return image{Layers: layers, Config: config, Manifest: manifest}, nil
}

// putLarge streams a layer of noise into the cache.
func putLarge(ctx context.Context, conn *grpc.ClientConn, seed uint64, size int64) (v1.Descriptor, error) {
	hash := sha256.New()
	if _, err := io.CopyN(hash, noise(seed), size); err != nil {
		return v1.Descriptor{}, fmt.Errorf("make layer: %w", err)
	}
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(hash.Sum(nil))}
	stream, err := bspb.NewByteStreamClient(conn).Write(ctx)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("fill cache: %w", err)
	}
	source, chunk := noise(seed), make([]byte, 1<<20)
	for offset := int64(0); offset < size; {
		n, _ := io.ReadFull(source, chunk[:min(int64(len(chunk)), size-offset)])
		request := &bspb.WriteRequest{WriteOffset: offset, Data: bytes.Clone(chunk[:n]), FinishWrite: offset+int64(n) == size}
		if offset == 0 {
			request.ResourceName = fmt.Sprintf("uploads/%08d-0000-4000-8000-000000000000/blobs/%s/%d", seed, digest.Hex, size)
		}
		if err := stream.Send(request); err != nil {
			return v1.Descriptor{}, fmt.Errorf("fill cache: %w", err)
		}
		offset += int64(n)
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		return v1.Descriptor{}, fmt.Errorf("fill cache: %w", err)
	}
	return v1.Descriptor{MediaType: types.OCILayer, Size: size, Digest: digest}, nil
}
