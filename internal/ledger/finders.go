package ledger

import "slices"

// Digests are the digests that find the row: the root's and those of all
// manifests below it, each once.
func (e Entry) Digests() []string {
	var digests []string
	if e.Digest != "" {
		digests = append(digests, e.Digest)
	}
	for _, m := range e.Manifests {
		if m.Digest != "" && !slices.Contains(digests, m.Digest) {
			digests = append(digests, m.Digest)
		}
	}
	return digests
}

// TagNames are the tags that find the row: those that it wrote or put back, each once, and
// not those that it keeps back.
func (e Entry) TagNames() []string {
	var names []string
	for _, tag := range e.Tags {
		if !slices.Contains(names, tag.Name) {
			names = append(names, tag.Name)
		}
	}
	return names
}
