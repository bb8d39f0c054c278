package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/drayage/drayage/bes/bestest"
	"github.com/drayage/drayage/e2e/rig"
	bepb "github.com/drayage/drayage/proto/bep"
	"github.com/drayage/drayage/pushspec"
)

// fleet is a build of many images: their layers and push specs are in a remote
// cache, and what Bazel would say of them is in events.
type fleet struct {
	invocation string
	images     []fleetImage
	events     [][]byte
}

// fleetImage is one image of a fleet.
type fleetImage struct {
	target, repository, digest string
	// spec is what is pushed.
	spec *pushspec.Spec
}

// fleetPlan says what a fleet is like.
type fleetPlan struct {
	invocation string
	registry   string
	images     int
	// repositories are what the images are spread over.
	repositories int
	// shared and own are the bytes of the layer that all images begin with, and of
	// that which every ownEvery'th ends with.
	shared, own, ownEvery int
	// referrers are the types of the artifacts that each image comes with.
	referrers []string
}

// fleetRevision is the commit that a fleet is built from. The tags hold it, so
// that a daemon that forgets the workspace status cannot write them.
const fleetRevision = "6a14a96f00d2c1e5b7a8c9d0e1f2a3b4c5d6e7f8"

// newFleet puts a fleet's blobs into the cache.
func newFleet(t *testing.T, cache *rig.BazelRemote, plan fleetPlan) *fleet {
	t.Helper()
	blobs := cacheWriter{t: t, cache: cache}
	f := &fleet{invocation: plan.invocation}
	f.begin(t)
	shared := blobs.put("shared by all of "+plan.invocation, plan.shared)
	for i := range plan.images {
		target := fmt.Sprintf("//fleet/app%d:push", i)
		repository := fmt.Sprintf("fleet/app%d", i%plan.repositories)
		layers := []v1.Descriptor{shared}
		if i%plan.ownEvery == 0 {
			layers = append(layers, blobs.put(fmt.Sprintf("own of %s in %s", target, plan.invocation), plan.own))
		}
		spec := imageSpec(t, target, pushspec.Destination{
			Registry: plan.registry, Repository: repository, Tags: []string{fmt.Sprintf("app%d-{BUILD_SCM_REVISION}", i)},
		}, layers...)
		for _, artifactType := range plan.referrers {
			addReferrer(t, spec, artifactType, blobs.put(artifactType+" of "+target+" in "+plan.invocation, 200))
		}
		data, err := spec.Encode()
		check(t, err)
		f.images = append(f.images, fleetImage{target: target, repository: repository, digest: spec.Root.String(), spec: spec})
		f.pushed(t, target, blobs.add(types.MediaType(pushspec.MediaType), data), cache.Address)
	}
	f.end(t)
	blobs.flush()
	return f
}

// imageSpec is the push spec of an image of these layers.
func imageSpec(t *testing.T, target string, destination pushspec.Destination, layers ...v1.Descriptor) *pushspec.Spec {
	t.Helper()
	var ids []v1.Hash
	for _, layer := range layers {
		ids = append(ids, layer.Digest)
	}
	config, err := json.Marshal(v1.ConfigFile{Author: target, Architecture: "amd64", OS: "linux", RootFS: v1.RootFS{Type: "layers", DiffIDs: ids}})
	check(t, err)
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: describe(types.OCIConfigJSON, config), Layers: layers,
	})
	check(t, err)
	root := describe(types.OCIManifestSchema1, manifest)
	root.Data = manifest
	spec := &pushspec.Spec{
		SchemaVersion: pushspec.SchemaVersion, MediaType: pushspec.MediaType, Target: target, Destination: destination,
		Root: root.Digest, Manifests: []v1.Descriptor{root},
	}
	embedded := describe(types.OCIConfigJSON, config)
	embedded.Data = config
	spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: embedded})
	for _, layer := range layers {
		spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: layer, Sources: []pushspec.Source{{CAS: layer.Digest.String()}}})
	}
	return spec
}

// addReferrer adds an artifact of one file whose subject is the spec's root.
func addReferrer(t *testing.T, spec *pushspec.Spec, artifactType string, file v1.Descriptor) {
	t.Helper()
	empty := describe("application/vnd.oci.empty.v1+json", []byte("{}"))
	subject := spec.Manifests[0]
	subject.Data = nil
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: artifactType,
		Config: empty, Layers: []v1.Descriptor{file}, Subject: &subject,
	})
	check(t, err)
	referrer := describe(types.OCIManifestSchema1, manifest)
	referrer.Data = manifest
	if !slices.ContainsFunc(spec.Blobs, func(b pushspec.Blob) bool { return b.Digest == empty.Digest }) {
		empty.Data = []byte("{}")
		spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: empty})
	}
	spec.Manifests = append(spec.Manifests, referrer)
	spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: file, Sources: []pushspec.Source{{CAS: file.Digest.String()}}})
}

func describe(mediaType types.MediaType, data []byte) v1.Descriptor {
	sum := sha256.Sum256(data)
	return v1.Descriptor{MediaType: mediaType, Size: int64(len(data)), Digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}}
}

// upload is Bazel, which sends the fleet's stream to a daemon.
func (f *fleet) upload(d *rig.Daemon) *bestest.Bazel {
	return &bestest.Bazel{
		Target: strings.TrimPrefix(d.BES, "grpc://"), BuildID: "build-" + f.invocation, InvocationID: f.invocation, Events: f.events,
	}
}

// begin is what Bazel says before the first target.
func (f *fleet) begin(t *testing.T) {
	t.Helper()
	f.say(t, &bepb.BuildEvent{
		Id: &bepb.BuildEventId{Id: &bepb.BuildEventId_Started{Started: &bepb.BuildEventId_BuildStartedId{}}},
		Payload: &bepb.BuildEvent_Started{Started: &bepb.BuildStarted{
			Uuid: f.invocation, Command: "build", BuildToolVersion: "7.7.1", StartTime: timestamppb.New(time.Now()),
		}},
	})
	f.say(t, &bepb.BuildEvent{
		Id:      &bepb.BuildEventId{Id: &bepb.BuildEventId_BuildMetadata{BuildMetadata: &bepb.BuildEventId_BuildMetadataId{}}},
		Payload: &bepb.BuildEvent_BuildMetadata{BuildMetadata: &bepb.BuildMetadata{Metadata: map[string]string{"PIPELINE": "release"}}},
	})
	f.say(t, &bepb.BuildEvent{
		Id: &bepb.BuildEventId{Id: &bepb.BuildEventId_WorkspaceStatus{WorkspaceStatus: &bepb.BuildEventId_WorkspaceStatusId{}}},
		Payload: &bepb.BuildEvent_WorkspaceStatus{WorkspaceStatus: &bepb.WorkspaceStatus{
			Item: []*bepb.WorkspaceStatus_Item{{Key: "BUILD_SCM_REVISION", Value: fleetRevision}},
		}},
	})
}

// pushed is what Bazel says of a push target: it was configured, its file, and
// that it is complete.
func (f *fleet) pushed(t *testing.T, target string, spec v1.Descriptor, cache string) {
	t.Helper()
	set := fmt.Sprint(len(f.events))
	f.say(t, &bepb.BuildEvent{
		Id:      &bepb.BuildEventId{Id: &bepb.BuildEventId_TargetConfigured{TargetConfigured: &bepb.BuildEventId_TargetConfiguredId{Label: target}}},
		Payload: &bepb.BuildEvent_Configured{Configured: &bepb.TargetConfigured{TargetKind: "image_push rule"}},
	})
	f.say(t, &bepb.BuildEvent{
		Id: &bepb.BuildEventId{Id: &bepb.BuildEventId_NamedSet{NamedSet: &bepb.BuildEventId_NamedSetOfFilesId{Id: set}}},
		Payload: &bepb.BuildEvent_NamedSetOfFiles{NamedSetOfFiles: &bepb.NamedSetOfFiles{Files: []*bepb.File{{
			Name: "push" + pushspec.FileSuffix, Digest: spec.Digest.Hex, Length: spec.Size,
			File: &bepb.File_Uri{Uri: fmt.Sprintf("bytestream://%s/blobs/%s/%d", cache, spec.Digest.Hex, spec.Size)},
		}}}},
	})
	f.say(t, &bepb.BuildEvent{
		Id: &bepb.BuildEventId{Id: &bepb.BuildEventId_TargetCompleted{TargetCompleted: &bepb.BuildEventId_TargetCompletedId{Label: target}}},
		Payload: &bepb.BuildEvent_Completed{Completed: &bepb.TargetComplete{Success: true, OutputGroup: []*bepb.OutputGroup{{
			Name: pushspec.OutputGroup, FileSets: []*bepb.BuildEventId_NamedSetOfFilesId{{Id: set}},
		}}}},
	})
}

func (f *fleet) end(t *testing.T) {
	t.Helper()
	f.say(t, &bepb.BuildEvent{
		Id:          &bepb.BuildEventId{Id: &bepb.BuildEventId_BuildFinished{BuildFinished: &bepb.BuildEventId_BuildFinishedId{}}},
		Payload:     &bepb.BuildEvent_Finished{Finished: &bepb.BuildFinished{ExitCode: &bepb.BuildFinished_ExitCode{Name: "SUCCESS"}}},
		LastMessage: true,
	})
}

func (f *fleet) say(t *testing.T, event *bepb.BuildEvent) {
	t.Helper()
	data, err := proto.Marshal(event)
	check(t, err)
	f.events = append(f.events, data)
}

// cacheWriter puts blobs into a cache, many at a time.
type cacheWriter struct {
	t     *testing.T
	cache *rig.BazelRemote
	batch []*repb.BatchUpdateBlobsRequest_Request
	bytes int
}

// put adds a layer of noise that the seed decides.
func (w *cacheWriter) put(seed string, size int) v1.Descriptor {
	data := make([]byte, size)
	// It is written in whole or not at all.
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(seed))).Read(data)
	return w.add(types.OCILayer, data)
}

func (w *cacheWriter) add(mediaType types.MediaType, data []byte) v1.Descriptor {
	w.t.Helper()
	blob := describe(mediaType, data)
	const most = 3 << 20 // what gRPC takes in one message, less something
	if w.bytes+len(data) > most {
		w.flush()
	}
	w.batch = append(w.batch, &repb.BatchUpdateBlobsRequest_Request{Digest: &repb.Digest{Hash: blob.Digest.Hex, SizeBytes: blob.Size}, Data: data})
	w.bytes += len(data)
	return blob
}

func (w *cacheWriter) flush() {
	w.t.Helper()
	if len(w.batch) == 0 {
		return
	}
	conn, err := grpc.NewClient(w.cache.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(w.t, err)
	defer func() { _ = conn.Close() }()
	answer, err := repb.NewContentAddressableStorageClient(conn).BatchUpdateBlobs(w.t.Context(), &repb.BatchUpdateBlobsRequest{Requests: w.batch})
	check(w.t, err)
	for _, r := range answer.GetResponses() {
		if r.GetStatus().GetCode() != 0 {
			w.t.Fatalf("fill the cache: %s", r.GetStatus().GetMessage())
		}
	}
	w.batch, w.bytes = nil, 0
}
