package rig

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/drayage/drayage/bes/bestest"
	bepb "github.com/drayage/drayage/proto/bep"
	"github.com/drayage/drayage/pushspec"
)

// Fleet is a build of many images: their layers and push specs are in a remote
// cache, and what Bazel would say of them is in events.
type Fleet struct {
	Invocation string
	Images     []FleetImage
	Events     [][]byte
}

// FleetImage is one image of a fleet.
type FleetImage struct {
	Target, Repository, Digest string
	// Spec is what is pushed.
	Spec *pushspec.Spec
}

// FleetPlan says what a fleet is like.
type FleetPlan struct {
	Invocation string
	Registry   string
	Images     int
	// Repositories are what the images are spread over.
	Repositories int
	// Folder is what their names begin with, "fleet" if it is empty.
	Folder string
	// Layer names the layer that all images begin with, for fleets that share it. Each
	// has one of its own if it is empty.
	Layer string
	// Shared and Own are the bytes of the layer that all images begin with, and of
	// that which every OwnEvery'th ends with.
	Shared, Own, OwnEvery int
	// Referrers are the types of the artifacts that each image comes with.
	Referrers []string
	// Gate is the build's DRAYAGE_RELEASE, if it has one.
	Gate string
	// Clock is by how much the Clock of the machine that builds runs ahead.
	Clock time.Duration
}

// FleetRevision is the commit that a fleet is built from. The tags hold it, so
// that a daemon that forgets the workspace status cannot write them.
const FleetRevision = "6a14a96f00d2c1e5b7a8c9d0e1f2a3b4c5d6e7f8"

// NewFleet puts a fleet's blobs into the cache.
func NewFleet(t T, cache *BazelRemote, plan FleetPlan) *Fleet {
	t.Helper()
	blobs := CacheWriter{T: t, Cache: cache}
	f := &Fleet{Invocation: plan.Invocation}
	f.begin(t, plan)
	folder, layer := cmp.Or(plan.Folder, "fleet"), cmp.Or(plan.Layer, "shared by all of "+plan.Invocation)
	shared := blobs.Put(layer, plan.Shared)
	for i := range plan.Images {
		target := fmt.Sprintf("//fleet/app%d:push", i)
		repository := fmt.Sprintf("%s/app%d", folder, i%plan.Repositories)
		layers := []v1.Descriptor{shared}
		if i%plan.OwnEvery == 0 {
			layers = append(layers, blobs.Put(fmt.Sprintf("own of %s in %s", target, plan.Invocation), plan.Own))
		}
		spec := ImageSpec(t, target, pushspec.Destination{
			Registry: plan.Registry, Repository: repository, Tags: []string{fmt.Sprintf("app%d-{BUILD_SCM_REVISION}", i)},
		}, layers...)
		for _, artifactType := range plan.Referrers {
			AddReferrer(t, spec, artifactType, blobs.Put(artifactType+" of "+target+" in "+plan.Invocation, 200))
		}
		data, err := spec.Encode()
		must(t, err)
		f.Images = append(f.Images, FleetImage{Target: target, Repository: repository, Digest: spec.Root.String(), Spec: spec})
		f.pushed(t, target, blobs.Add(types.MediaType(pushspec.MediaType), data), cache.Address)
	}
	f.end(t)
	blobs.Flush()
	return f
}

// Upload is Bazel, which sends the fleet's stream to a daemon.
func (f *Fleet) Upload(d *Daemon) *bestest.Bazel {
	return &bestest.Bazel{
		Target: strings.TrimPrefix(d.BES, "grpc://"), BuildID: "build-" + f.Invocation, InvocationID: f.Invocation, Events: f.Events,
	}
}

// begin is what Bazel says before the first target.
func (f *Fleet) begin(t T, plan FleetPlan) {
	t.Helper()
	metadata := map[string]string{"PIPELINE": "release"}
	if plan.Gate != "" {
		metadata["DRAYAGE_RELEASE"] = plan.Gate
	}
	f.say(t, &bepb.BuildEvent{
		Id: &bepb.BuildEventId{Id: &bepb.BuildEventId_Started{Started: &bepb.BuildEventId_BuildStartedId{}}},
		Payload: &bepb.BuildEvent_Started{Started: &bepb.BuildStarted{
			Uuid: f.Invocation, Command: "build", BuildToolVersion: "7.7.1", StartTime: timestamppb.New(time.Now().Add(plan.Clock)),
		}},
	})
	f.say(t, &bepb.BuildEvent{
		Id:      &bepb.BuildEventId{Id: &bepb.BuildEventId_BuildMetadata{BuildMetadata: &bepb.BuildEventId_BuildMetadataId{}}},
		Payload: &bepb.BuildEvent_BuildMetadata{BuildMetadata: &bepb.BuildMetadata{Metadata: metadata}},
	})
	f.say(t, &bepb.BuildEvent{
		Id: &bepb.BuildEventId{Id: &bepb.BuildEventId_WorkspaceStatus{WorkspaceStatus: &bepb.BuildEventId_WorkspaceStatusId{}}},
		Payload: &bepb.BuildEvent_WorkspaceStatus{WorkspaceStatus: &bepb.WorkspaceStatus{
			Item: []*bepb.WorkspaceStatus_Item{{Key: "BUILD_SCM_REVISION", Value: FleetRevision}},
		}},
	})
}

// pushed is what Bazel says of a push target: it was configured, its file, and
// that it is complete.
func (f *Fleet) pushed(t T, target string, spec v1.Descriptor, cache string) {
	t.Helper()
	set := fmt.Sprint(len(f.Events))
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

func (f *Fleet) end(t T) {
	t.Helper()
	f.say(t, &bepb.BuildEvent{
		Id:          &bepb.BuildEventId{Id: &bepb.BuildEventId_BuildFinished{BuildFinished: &bepb.BuildEventId_BuildFinishedId{}}},
		Payload:     &bepb.BuildEvent_Finished{Finished: &bepb.BuildFinished{ExitCode: &bepb.BuildFinished_ExitCode{Name: "SUCCESS"}}},
		LastMessage: true,
	})
}

func (f *Fleet) say(t T, event *bepb.BuildEvent) {
	t.Helper()
	data, err := proto.Marshal(event)
	must(t, err)
	f.Events = append(f.Events, data)
}
