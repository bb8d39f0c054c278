package registry

// Settings say of one registry what it can and cannot do. What is nil, or zero, is
// left to what is known of the registry and to its answers.
type Settings struct {
	// Mounts says whether blobs may be mounted from other repositories.
	Mounts *bool
	// TagsQuery says whether a manifest may be written with several tags at once.
	TagsQuery *bool
	// ReferrersAPI says whether the registry keeps track of referrers itself.
	ReferrersAPI *bool
	// Head says whether manifests and blobs may be looked up by HEAD.
	Head *bool
	// DeniesUnknown says whether 403 is answered where 404 is meant.
	DeniesUnknown *bool
	// Chunk is the size in bytes of the chunks that uploads come in; below zero they
	// come in one PUT.
	Chunk int64
}

// apply changes the quirks into what is said.
func (s Settings) apply(q *Quirks) {
	unless := func(no *bool, said *bool) {
		if said != nil {
			*no = !*said
		}
	}
	unless(&q.noMount, s.Mounts)
	unless(&q.noManyTags, s.TagsQuery)
	unless(&q.noHead, s.Head)
	if s.DeniesUnknown != nil {
		q.deniesUnknown = *s.DeniesUnknown
	}
	if s.ReferrersAPI != nil {
		q.referrers = s.ReferrersAPI
	}
	if s.Chunk != 0 {
		q.Chunk = max(0, s.Chunk)
	}
}
