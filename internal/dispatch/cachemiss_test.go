package dispatch_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

const (
	layerHash = "7a94a4d9d1fa0b3f4c0bd4c3d1c0bde4d8a8cd1a0dd4b9c8e3e7a4e5d8b1c2d3"
	upload    = "--remote_build_event_upload=all --output_groups=+blobs"
	again     = upload + " '--modify_execution_info=Image.*=+no-cache,PushSpec=+no-cache'"
)

// lost is a world in which the cache lacks the image's layer.
func lost(t *testing.T, annotations map[string]string) *world {
	t.Helper()
	w, _ := newWorld(t)
	config := describe(types.OCIConfigJSON, "{}")
	layer := v1.Descriptor{MediaType: types.OCILayer, Size: 12 << 20, Digest: v1.Hash{Algorithm: "sha256", Hex: layerHash}}
	manifest := describe(types.OCIManifestSchema1, `{"schemaVersion":2,"config":{"mediaType":"`+string(types.OCIConfigJSON)+`","size":2,"digest":"`+
		config.Digest.String()+`"},"layers":[{"mediaType":"`+string(types.OCILayer)+`","size":12582912,"digest":"`+layer.Digest.String()+`"}]}`)
	layer.Annotations = annotations
	var err error
	w.spec, err = (&pushspec.Spec{
		SchemaVersion: 1, MediaType: pushspec.MediaType, Target: "@@//app:push",
		Destination: pushspec.Destination{Registry: "ghcr.io", Repository: "acme/app"},
		Root:        manifest.Digest,
		Manifests:   []v1.Descriptor{manifest},
		Blobs:       []pushspec.Blob{{Descriptor: config}, {Descriptor: layer, Sources: []pushspec.Source{{CAS: layer.Digest.String()}}}},
	}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := cas.ParseDigest(layer.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	w.haulErr = &haul.Error{Class: haul.Evicted, Text: "layer sha256:7a94… is not in the remote cache", Err: &cas.NotFoundError{Digest: digest}}
	return w
}

// Each row is a build of which a push failed, and what its ledger row says after what
// is missing.
func TestAMissingLayerIsExplainedByWhatTheBuildTold(t *testing.T) {
	made := map[string]string{pushspec.TargetAnnotation: "@@//app:layer"}
	tagged := map[string]string{pushspec.TargetAnnotation: "@@//app:layer", pushspec.UncachedAnnotation: "no-remote-cache"}
	remote := func(more ...string) map[string]string {
		flags := map[string]string{"remote_cache": "grpc"}
		for _, flag := range more {
			name, value, _ := strings.Cut(flag, "=")
			flags[name] = value
		}
		return flags
	}
	uploading := remote("remote_build_event_upload=all", "output_groups=+blobs")
	for _, row := range []struct {
		name        string
		flags       map[string]string
		unsent      store.Unsent
		annotations map[string]string
		want        string
	}{
		{"up to date", remote(), store.Unsent{}, made,
			"Bazel assumes that the cache has it and did not check: it was built without this cache, or the cache has dropped it since. Build again with " + again},
		{"evicted", uploading, store.Unsent{}, made,
			"The cache has dropped it, and Bazel assumes that it is still there. Have the cache keep layers for longer, and build again with " + again},
		{"asked for, and taken back", remote("remote_build_event_upload=all", "output_groups=+blobs,-blobs"), store.Unsent{}, made,
			"Bazel assumes that the cache has it and did not check: it was built without this cache, or the cache has dropped it since. Build again with " + again},
		{"a disk cache", remote("disk_cache=set"), store.Unsent{}, made,
			"The build has a disk cache, and Bazel does not upload what it finds there. Build again with " + again},
		{"a disk cache that is turned off", remote("disk_cache="), store.Unsent{}, made,
			"Bazel assumes that the cache has it and did not check: it was built without this cache, or the cache has dropped it since. Build again with " + again},
		{"a disk cache alone", map[string]string{"disk_cache": "set"}, store.Unsent{}, made,
			"The build had a disk cache and no remote cache, so nobody else can read what it built. Build again with --remote_cache=grpc://cache:9092 " + again},
		{"no cache", map[string]string{"remote_cache": ""}, store.Unsent{}, made,
			"The build had no remote cache. Build again with --remote_cache=grpc://cache:9092 " + again},
		{"an HTTP cache", map[string]string{"remote_cache": "http"}, store.Unsent{}, made,
			"The build uses its remote cache over HTTP, and Bazel does not name such a cache in its events. Name the cache by its gRPC address. Build again with --remote_cache=grpc://cache:9092 " + again},
		{"a tag", remote("disk_cache=set"), store.Unsent{}, tagged,
			"The tag no-remote-cache of //app:layer keeps it out of the remote cache. Remove the tag, or build again with " + upload + ", which uploads it anyway"},
		{"a tag that keeps nothing out", uploading, store.Unsent{}, tagged,
			"The cache has dropped it, and Bazel assumes that it is still there. Have the cache keep layers for longer, and build again with " + again},
		{"a flag like a tag", remote("modify_execution_info=Genrule=-no-cache,Image.*=+no-remote"), store.Unsent{}, made,
			"The build's --modify_execution_info keeps it out of the remote cache. Leave that flag out, and build again with " + upload},
		{"a flag that is about others", remote("modify_execution_info=Image(Index|Manifest)=+no-remote,ImageLayer=-no-cache,(=+no-cache"), store.Unsent{}, made,
			"Bazel assumes that the cache has it and did not check: it was built without this cache, or the cache has dropped it since. Build again with " + again},
		{"told not to upload", remote("remote_upload_local_results=false"), store.Unsent{}, made,
			"--noremote_upload_local_results keeps the build from uploading what it builds. Build again with --remote_upload_local_results " + upload},
		{"remote execution, which needs no upload", remote("remote_upload_local_results=false", "remote_executor=grpc"), store.Unsent{}, made,
			"Bazel assumes that the cache has it and did not check: it was built without this cache, or the cache has dropped it since. Build again with " + again},
		{"an upload that failed", uploading, store.Unsent{Digests: []string{layerHash}}, tagged,
			"Bazel could not upload it: its warning is \"Remote Cache: …\". Fix that, and build again with " + upload},
		{"an upload that was denied", remote("disk_cache=set"), store.Unsent{Digests: []string{layerHash}, Code: "UNAUTHENTICATED"}, made,
			"Bazel could not upload it: UNAUTHENTICATED: the cache rejects uploads with the build's credentials. Fix that, and build again with " + upload},
		{"an upload that was too large", remote(), store.Unsent{Digests: []string{layerHash}, Code: "INVALID_ARGUMENT"}, made,
			"Bazel could not upload it: INVALID_ARGUMENT: the cache is full, or does not accept a file of this size. Fix that, and build again with " + upload},
		{"another file's upload that failed", remote(), store.Unsent{Digests: []string{digest}}, made,
			"Bazel assumes that the cache has it and did not check: it was built without this cache, or the cache has dropped it since. Build again with " + again},
		{"a build of before", nil, store.Unsent{}, nil,
			"Bazel assumes that the cache has it and did not check: it was built without this cache, or the cache has dropped it since. Build again with " + again},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := lost(t, row.annotations)
			w.invocation.Flags, w.invocation.Unsent = row.flags, row.unsent
			got, err := w.work(t, 1)
			if err != nil || got.Outcome != ledger.Failed || got.ErrorClass != "evicted" {
				t.Fatalf("entry is %+v, error %v", got, err)
			}
			want := "push //app:push to ghcr.io/acme/app: layer sha256:7a94… is not in the remote cache. " + row.want
			if diff := cmp.Diff(want, got.Error); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAMissingPushSpecIsExplainedByItsFile(t *testing.T) {
	for _, row := range []struct {
		name   string
		flags  map[string]string
		change func(*store.Job)
		want   string
	}{
		{"another cache", map[string]string{"remote_cache": "grpc"}, func(j *store.Job) { j.Spec.Host = "other:9092" },
			"The build's remote cache is other:9092, and the daemon reads grpc://cache:9092. If these are two caches, name one and the same to both. Build again with --remote_cache=grpc://cache:9092 " + again},
		{"the same cache", map[string]string{"remote_cache": "grpc"}, func(j *store.Job) { j.Spec.Host = "CACHE:9092" },
			"Bazel assumes that the cache has it and did not check: it was built without this cache, or the cache has dropped it since. Build again with " + again},
		{"the same cache, without its port", map[string]string{"remote_cache": "grpc"}, func(j *store.Job) { j.Spec.Host = "cache" },
			"Bazel assumes that the cache has it and did not check: it was built without this cache, or the cache has dropped it since. Build again with " + again},
		{"another port", map[string]string{"remote_cache": "grpc"}, func(j *store.Job) { j.Spec.Host = "cache:9093" },
			"The build's remote cache is cache:9093, and the daemon reads grpc://cache:9092. If these are two caches, name one and the same to both. Build again with --remote_cache=grpc://cache:9092 " + again},
		{"its own upload failed", map[string]string{"remote_cache": "grpc"}, func(j *store.Job) { j.Spec.Local = true },
			"Bazel could not upload it: its warning is \"Remote Cache: …\". Fix that, and build again with " + upload},
		{"its target has a tag", map[string]string{"remote_cache": "grpc"}, func(j *store.Job) { j.Uncached = "no-remote" },
			"The tag no-remote of //app:push keeps it out of the remote cache. Remove the tag, or build again with " + upload + ", which uploads it anyway"},
		{"uploaded as a default output", map[string]string{"remote_cache": "grpc", "remote_build_event_upload": "all"}, func(j *store.Job) { j.Uncached = "no-remote" },
			"The cache has dropped it, and Bazel assumes that it is still there. Have the cache keep layers for longer, and build again with " + again},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, _ := newWorld(t)
			w.specErr = &cas.NotFoundError{Digest: cas.Digest{Function: cas.SHA256, Hash: digest, Size: 7}}
			w.invocation.Flags = row.flags
			w.change = row.change
			got, err := w.work(t, 10)
			if err != nil || got.ErrorClass != "evicted" {
				t.Fatalf("entry is %+v, error %v", got, err)
			}
			want := "push //app:push: read the push spec: the remote cache does not have sha256:" + digest + " (7 B). " + row.want
			if diff := cmp.Diff(want, got.Error); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What Bazel tells after it has told of the push counts as well.
func TestLateNewsOfABuildExplainToo(t *testing.T) {
	w := lost(t, nil)
	w.later = &store.Invocation{Flags: map[string]string{"remote_cache": "grpc"}, Unsent: store.Unsent{Digests: []string{layerHash}}}
	got, err := w.work(t, 1)
	if err != nil || !strings.Contains(got.Error, "Bazel could not upload it") {
		t.Errorf("entry is %+v, error %v", got, err)
	}
}
