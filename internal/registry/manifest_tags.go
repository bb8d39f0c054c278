package registry

import (
	"net/http"
	"time"
)

// manyTagsLife is for how long a registry that did not take several tags at once is
// not offered them again.
const manyTagsLife = time.Hour

// refusesTags tells whether a manifest may be taken that was refused with several tags.
func (e *Error) refusesTags() bool {
	if e == nil || e.Throttled() || e.Status >= 200 && e.Status < 300 || e.Status == http.StatusUnauthorized || e.unknown() {
		return false
	}
	return !e.Has("MANIFEST_INVALID") && !e.Has("SIZE_INVALID") && !e.Has("NAME_INVALID")
}

// learnTags notes that several tags were refused, and the manifest without them was
// not.
func (r *Repository) learnTags(failed *Error, offered int) {
	switch {
	case failed.Passing():
		// That was no answer to the tags.
	case (failed.Status == http.StatusRequestURITooLong || failed.Status == http.StatusRequestHeaderFieldsTooLarge) && offered > 2:
		r.host.learned.tagLimit.Store(int64(offered / 2))
	case failed.Has("TAG_INVALID") || failed.Status == http.StatusConflict:
		// One of these tags cannot be written. Others can.
	default:
		r.host.learned.noManyTags.set(r.host.now(), manyTagsLife)
	}
}

// SetsManyTags tells whether the registry may set several tags in one request:
// it is not known that it does not.
func (r *Repository) SetsManyTags() bool {
	return !r.host.quirks().noManyTags && !r.host.learned.noManyTags.holds(r.host.now())
}
