package operator

import "context"

// Copy asks the daemon to copy an image.
type Copy struct {
	// Source is HOST/REPOSITORY with a tag or a digest.
	Source string `json:"source"`
	// Destinations are HOST/REPOSITORY[:TAG]; all get Tags as well.
	Destinations []string `json:"destinations"`
	Tags         []string `json:"tags,omitzero"`
	// WithoutReferrers leaves signatures and other artifacts about the image.
	WithoutReferrers bool `json:"withoutReferrers,omitzero"`
	// Overwrite is "never" if tags that point to another image are to stay.
	Overwrite string `json:"overwrite,omitzero"`
}

// Copied is what the daemon has taken upon itself.
type Copied struct {
	// InvocationID is what the copies are known by, as a build's pushes are.
	InvocationID string `json:"invocationId"`
	// Digest is that of the image.
	Digest string `json:"digest"`
	// Referrers counts what comes along, Copies the destinations.
	Referrers int `json:"referrers"`
	Copies    int `json:"copies"`
}

// Copy has the daemon copy an image. It has read the manifests when it answers, and
// will make the copies.
func (c *Client) Copy(ctx context.Context, what Copy) (Copied, error) {
	var copied Copied
	err := c.post(ctx, CopiesPath, what, &copied)
	return copied, err
}
