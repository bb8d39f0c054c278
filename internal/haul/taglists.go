package haul

import (
	"context"
	"sync"
	"time"
)

const (
	// missesBefore is how many tags in a row a repository has to lack before it is
	// asked for all that it has.
	missesBefore = 8
	// listLife is for how long such an answer is believed: no longer than a small
	// haul takes, so that it tells hardly less than a lookup would.
	listLife = 5 * time.Second
	// listAgain is when a repository is asked again that has too many tags to list.
	listAgain = 10 * time.Minute
	// maxListed bounds the tags of a list, and maxRepositories those that are
	// remembered; 100 bytes a tag at the most.
	maxListed       = 10_000
	maxRepositories = 1_000
)

// tagLists know of some repositories which tags they have. A build that pushes a
// thousand new tags to one repository is spared a thousand lookups.
type tagLists struct {
	now func() time.Time

	mu           sync.Mutex
	repositories map[address]*tagList
}

// tagList is what is known of one repository's tags.
type tagList struct {
	// misses counts the lookups in a row that found nothing.
	misses int
	// tags are all that the repository has, until then.
	tags  map[string]bool
	until time.Time
	// notBefore is when it may be listed (again).
	notBefore time.Time
}

func newTagLists(now func() time.Time) *tagLists {
	return &tagLists{now: now, repositories: map[address]*tagList{}}
}

// lister is a repository that can be asked for its tags.
type lister interface {
	Registry() string
	Name() string
	Tags(ctx context.Context, limit int) (tags []string, complete bool, err error)
}

// lacks tells whether the repository is sure not to have a tag, without a lookup of
// its own. It never waits for the list that another haul asks for.
func (t *tagLists) lacks(ctx context.Context, repository lister, tag string) bool {
	key := address{repository.Registry(), repository.Name()}
	t.mu.Lock()
	list, now := t.repositories[key], t.now()
	switch {
	case list == nil || list.misses < missesBefore:
		t.mu.Unlock()
		return false
	case now.Before(list.until):
		defer t.mu.Unlock()
		return !list.tags[tag]
	case now.Before(list.notBefore):
		t.mu.Unlock()
		return false
	}
	list.notBefore = now.Add(listAgain) // nobody else asks meanwhile
	list.tags = map[string]bool{}       // what is written from now on counts
	t.mu.Unlock()

	tags, complete, err := repository.Tags(ctx, maxListed)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil || !complete {
		// Lookups tell the same, one by one.
		return false
	}
	for _, tag := range tags {
		list.tags[tag] = true
	}
	list.until, list.notBefore = now.Add(listLife), now.Add(listLife)
	return !list.tags[tag]
}

// looked notes what a lookup found.
func (t *tagLists) looked(repository lister, found bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := address{repository.Registry(), repository.Name()}
	list := t.repositories[key]
	if list == nil {
		if len(t.repositories) >= maxRepositories {
			clear(t.repositories)
		}
		list = &tagList{}
		t.repositories[key] = list
	}
	list.misses++
	if found {
		list.misses = 0
	}
}

// add notes that a tag was written.
func (t *tagLists) add(repository lister, tag string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.repositories[address{repository.Registry(), repository.Name()}]
	if list != nil && list.tags != nil && len(list.tags) < maxListed {
		list.tags[tag] = true
	} else if list != nil {
		list.until = time.Time{} // too many to know
	}
}
