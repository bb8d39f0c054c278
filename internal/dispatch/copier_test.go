package dispatch_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/copies"
	"github.com/drayage/drayage/internal/dispatch"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// copyQueue keeps what is enqueued.
type copyQueue struct {
	jobs       []store.Job
	invocation store.Invocation
}

func (q *copyQueue) Enqueue(_ context.Context, jobs []store.Job) error {
	if q.invocation.ID == "" || q.invocation.Finished {
		return errors.New("the invocation is not known before its jobs, or finished before they are there")
	}
	q.jobs = append(q.jobs, jobs...)
	return nil
}

func (q *copyQueue) SaveInvocation(_ context.Context, invocation store.Invocation) error {
	q.invocation = invocation
	return nil
}

func TestACopyIsAJobForEachDestination(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{})
	config := describe(types.OCIConfigJSON, "{}")
	fake.PutBlob("staging/app", config.Data)
	config.Data = nil
	manifest := describe(types.OCIManifestSchema1, `{"schemaVersion":2,"mediaType":"`+string(types.OCIManifestSchema1)+
		`","config":{"mediaType":"`+string(types.OCIConfigJSON)+`","size":2,"digest":"`+config.Digest.String()+`"},"layers":[]}`)
	fake.PutManifest("staging/app", "candidate", string(manifest.MediaType), manifest.Data)
	registries := registry.New(registry.Options{Keychain: authn.NewMultiKeychain()})
	t.Cleanup(registries.Close)
	policy, err := admission.New(admission.Policy{Rules: []admission.Rule{
		{Name: "promotion", Clients: []string{"token:release"}, Repositories: []string{"ghcr.io/acme/*"}, Sources: []string{"127.0.0.1:*/staging/*"}},
		{Name: "builds", Clients: []string{"token:ci"}, Targets: []string{"//..."}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	from, err := copies.ParseReference(fake.Host + "/staging/app:candidate")
	if err != nil {
		t.Fatal(err)
	}
	to, err := copies.Destinations([]string{"ghcr.io/acme/app:v1", "ghcr.io/acme/mirror"}, []string{"latest"}, pushspec.OverwriteNever)
	if err != nil {
		t.Fatal(err)
	}
	queue := &copyQueue{}
	copier := &dispatch.Copier{Registries: registries, Queue: queue, Policy: policy, Logger: zerolog.Nop()}

	for _, denied := range []copies.Request{
		{Client: "token:ci", From: from, Destinations: to},
		{Client: "token:release", From: from, Destinations: append(to[:1:1], pushspec.Destination{Registry: "ghcr.io", Repository: "secret/app"})},
		{Client: "token:release", From: copies.Reference{Registry: "127.0.0.1:1", Repository: "secret/app", Tag: "v1"}, Destinations: to},
	} {
		_, err := copier.Copy(t.Context(), denied)
		_, ok := errors.AsType[*admission.DeniedError](err)
		if !ok || len(queue.jobs) > 0 {
			t.Errorf("%s from %s: error is %v, with %d jobs", denied.Client, denied.From, err, len(queue.jobs))
		}
	}
	if asked := fake.Total(); asked > 0 {
		t.Errorf("a registry was asked %d times for what the policy does not allow", asked)
	}

	queued, err := copier.Copy(t.Context(), copies.Request{Client: "token:release", From: from, Destinations: to, Referrers: true})
	if err != nil {
		t.Fatal(err)
	}
	if queued.Digest != manifest.Digest || queued.Jobs != 2 || queued.Invocation != queue.invocation.ID || !queue.invocation.Finished || queue.invocation.Command != copies.Command {
		t.Errorf("queued is %+v of %+v", queued, queue.invocation)
	}
	for i, job := range queue.jobs {
		spec, err := pushspec.Decode(job.Spec.Inline)
		if err != nil {
			t.Fatal(err)
		}
		if job.Invocation != queued.Invocation || job.Client != "token:release" || job.Target != "copy of "+from.String() ||
			spec.Root != manifest.Digest || spec.Destination.Repository != to[i].Repository || len(spec.Destination.KeepTags()) != len(to[i].Tags) {
			t.Errorf("job %d is %+v to %+v", i, job, spec.Destination)
		}
		if spec.Blobs[0].Sources[0].Repository != fake.Host+"/staging/app" {
			t.Errorf("job %d reads from %+v", i, spec.Blobs[0].Sources)
		}
	}

	queue.invocation, queue.jobs = store.Invocation{}, nil
	from.Tag = "none"
	if _, err := copier.Copy(t.Context(), copies.Request{Client: "token:release", From: from, Destinations: to}); err == nil || !strings.Contains(err.Error(), "does not have this image") || len(queue.jobs) > 0 {
		t.Errorf("of what is not there: error is %v, with %d jobs", err, len(queue.jobs))
	}
}
