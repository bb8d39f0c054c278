package dispatch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// Tags keep an older build from writing over a newer one's tags.
type Tags interface {
	ClaimTags(ctx context.Context, attempt store.Attempt, claim store.TagClaim) (store.TagGrant, error)
}

// fence claims the tags of one attempt, and notes which a newer build has.
type fence struct {
	tags       Tags
	attempt    store.Attempt
	want       store.TagClaim
	superseded []store.SupersededTag
}

func (w *Worker) fence(attempt store.Attempt, invocation store.Invocation, entry *ledger.Entry) *fence {
	return &fence{tags: w.tags, attempt: attempt, want: store.TagClaim{
		Registry: entry.Registry, Repository: entry.Repository, Digest: entry.Digest,
		Invocation: entry.InvocationID, Started: invocation.Started,
	}}
}

// claim is [haul.Request]'s ClaimTags.
func (f *fence) claim(ctx context.Context, tags []string) (granted []string, until time.Time, err error) {
	f.want.Tags = tags
	grant, err := f.tags.ClaimTags(ctx, f.attempt, f.want)
	if err != nil {
		return nil, time.Time{}, err
	}
	f.superseded = grant.Superseded
	return grant.Tags, grant.Until, nil
}

func (f *fence) isSuperseded(tag string) bool {
	return slices.ContainsFunc(f.superseded, func(s store.SupersededTag) bool { return s.Name == tag })
}

// explain says who was faster.
func (f *fence) explain() string {
	var texts []string
	for _, tag := range f.superseded {
		texts = append(texts, fmt.Sprintf("tag %s is left at %s, which the newer invocation %s has pushed", tag.Name, tag.Digest, tag.Invocation))
	}
	return strings.Join(texts, "; ")
}
