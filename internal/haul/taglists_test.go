package haul

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// fakeLister is a repository that counts how often it is listed.
type fakeLister struct {
	tags     []string
	complete bool
	err      error
	asked    int
}

func (f *fakeLister) Registry() string { return "r.test" }
func (f *fakeLister) Name() string     { return "acme/app" }
func (f *fakeLister) Tags(context.Context, int) ([]string, bool, error) {
	f.asked++
	return f.tags, f.complete, f.err
}

func TestARepositoryIsListedOnceItHasLackedSeveralTags(t *testing.T) {
	now := time.Unix(0, 0)
	known := newTagLists(func() time.Time { return now })
	repository := &fakeLister{tags: []string{"old"}, complete: true}
	for range missesBefore {
		if known.lacks(t.Context(), repository, "new") {
			t.Fatal("a tag is known to lack before anybody asked")
		}
		known.looked(repository, false)
	}
	if !known.lacks(t.Context(), repository, "new") || known.lacks(t.Context(), repository, "old") || repository.asked != 1 {
		t.Errorf("asked %d times", repository.asked)
	}
	known.add(repository, "new")
	if known.lacks(t.Context(), repository, "new") {
		t.Error("a tag that was written is said to lack")
	}
	now = now.Add(listLife)
	repository.tags = []string{"old", "new", "newer"}
	if known.lacks(t.Context(), repository, "newer") || repository.asked != 2 {
		t.Errorf("an old list is believed; asked %d times", repository.asked)
	}
	known.looked(repository, true)
	now = now.Add(listLife)
	if known.lacks(t.Context(), repository, "newest") || repository.asked != 2 {
		t.Error("a repository that had the last tag is listed")
	}
}

func TestARepositoryThatCannotBeListedIsNotAskedAgainSoon(t *testing.T) {
	for name, repository := range map[string]*fakeLister{
		"too many tags": {tags: []string{"a"}},
		"refused":       {err: errors.New("denied")},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(0, 0)
			known := newTagLists(func() time.Time { return now })
			for range missesBefore {
				known.looked(repository, false)
			}
			for range 3 {
				if known.lacks(t.Context(), repository, "new") {
					t.Error("a tag is said to lack")
				}
			}
			now = now.Add(listAgain)
			known.lacks(t.Context(), repository, "new")
			if repository.asked != 2 {
				t.Errorf("asked %d times", repository.asked)
			}
		})
	}
}

func TestWhatIsKnownOfTagsIsBounded(t *testing.T) {
	known := newTagLists(time.Now)
	for n := range 3 * maxRepositories {
		known.looked(named{fmt.Sprint(n)}, false)
	}
	if len(known.repositories) > maxRepositories {
		t.Errorf("%d repositories are remembered", len(known.repositories))
	}
	repository := &fakeLister{complete: true}
	for range missesBefore {
		known.looked(repository, false)
	}
	known.lacks(t.Context(), repository, "new")
	for n := range 2 * maxListed {
		known.add(repository, fmt.Sprint(n))
	}
	list := known.repositories[address{"r.test", "acme/app"}]
	if len(list.tags) > maxListed || known.lacks(t.Context(), repository, fmt.Sprint(2*maxListed-1)) {
		t.Errorf("%d tags are remembered, and a tag that was written is said to lack", len(list.tags))
	}
}

type named struct{ name string }

func (n named) Registry() string                                  { return "r.test" }
func (n named) Name() string                                      { return n.name }
func (n named) Tags(context.Context, int) ([]string, bool, error) { return nil, true, nil }
