package operator

import (
	"context"
	"net/url"
	"time"
)

// Fence is what the daemon knows of the build that moved a tag last. Builds that are older
// leave the tag alone.
type Fence struct {
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	// Digest is what the tag points to, as far as the daemon knows, or "" if it was removed.
	Digest string `json:"digest,omitzero"`
	// InvocationID and Target are of the build that moved the tag.
	InvocationID string `json:"invocationId,omitzero"`
	Target       string `json:"target,omitzero"`
	// Started and Number are that build's place in the order. Both are not there if the
	// fence is lifted: then any build moves the tag.
	Started time.Time `json:"started,omitzero"`
	Number  int64     `json:"number,omitzero"`
	// Job is the job that writes the tag now, if one does.
	Job int64 `json:"job,omitzero"`
	// LiftedBy is the client who lifted the fence last, and Lifted is when.
	LiftedBy string    `json:"liftedBy,omitzero"`
	Lifted   time.Time `json:"lifted,omitzero"`
}

// FenceList lists fences in the order of their tags.
type FenceList struct {
	Fences []Fence `json:"fences"`
	// More says that there are more than were asked for.
	More bool `json:"more,omitzero"`
}

// FencedTag names a tag whose fence is to be lifted.
type FencedTag struct {
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
}

// Lifted says how many fences were lifted: none if any build could move the tag already.
type Lifted struct {
	Fences int `json:"fences"`
}

// Fences asks for the fences of a repository's tags, or of one tag if it is given.
func (c *Client) Fences(ctx context.Context, registry, repository, tag string) (FenceList, error) {
	values := url.Values{"registry": {registry}, "repository": {repository}}
	if tag != "" {
		values.Set("tag", tag)
	}
	setLimit(values, maxFences)
	var list FenceList
	err := c.get(ctx, FencesPath+"?"+values.Encode(), &list)
	return list, err
}

// maxFences bounds a list of fences.
const maxFences = 1000

// LiftFence lets any build move a tag, until one has.
func (c *Client) LiftFence(ctx context.Context, tag FencedTag) (Lifted, error) {
	var lifted Lifted
	err := c.post(ctx, LiftPath, tag, &lifted)
	return lifted, err
}
