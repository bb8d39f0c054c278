package dispatch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
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
	// conflicts are tags that another target of the same build wants as well.
	conflicts []store.ConflictingTag
}

func (w *Worker) fence(attempt store.Attempt, invocation store.Invocation, destination pushspec.Destination, entry *ledger.Entry) *fence {
	registry, repository := destination.Place()
	return &fence{tags: w.tags, attempt: attempt, want: store.TagClaim{
		Registry: registry, Repository: repository, Digest: entry.Digest, Target: entry.Target,
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
	f.superseded, f.conflicts = grant.Superseded, grant.Conflicts
	if slices.ContainsFunc(f.conflicts, func(c store.ConflictingTag) bool { return !c.Ours }) {
		return nil, time.Time{}, f.conflict()
	}
	return grant.Tags, grant.Until, nil
}

// conflictError says that two targets of one build want a tag for two images.
type conflictError struct{ text string }

func (e *conflictError) Error() string { return e.text }

// conflict is the error for what is in conflicts, or nil.
func (f *fence) conflict() error {
	var texts []string
	for _, c := range f.conflicts {
		whose := "it is at that image, and no tag of this target was written"
		if c.Ours {
			whose = fmt.Sprintf("it was at that image, and is at this target's now, %s", f.want.Digest)
		}
		texts = append(texts, fmt.Sprintf("tag %s: %s of the same build wants it for another image, %s; %s", c.Name, c.Target, c.Digest, whose))
	}
	if len(texts) == 0 {
		return nil
	}
	return &conflictError{strings.Join(texts, "; ") +
		". Of several targets the one has a tag whose label comes first: give each a tag or a repository of its own, or build one of them"}
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
