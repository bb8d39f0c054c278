package haul

import (
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func digestOf(t *testing.T, text string) v1.Hash {
	t.Helper()
	digest, _, err := v1.SHA256(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func anyRepository(string) bool { return true }

func TestWhatIsKnownIsBounded(t *testing.T) {
	const limit = 100
	k := newPresence(time.Now, limit, time.Hour)
	for n := range 10 * limit {
		k.add(address{"r.test", fmt.Sprintf("acme/app-%d", n)}, digestOf(t, fmt.Sprint(n)), "ci")
		if entries := len(k.young) + len(k.old); entries > limit+2 {
			t.Fatalf("%d entries are remembered, want %d at most", entries, limit)
		}
	}
	if !k.has(address{"r.test", "acme/app-999"}, digestOf(t, "999")) {
		t.Error("the latest is forgotten")
	}
	if k.has(address{"r.test", "acme/app-0"}, digestOf(t, "0")) {
		t.Error("the oldest is remembered")
	}
}

func TestWhatIsKnownExpires(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	k := newPresence(func() time.Time { return now }, 100, time.Minute)
	at, digest := address{"r.test", "acme/app"}, digestOf(t, "blob")
	k.add(at, digest, "ci")
	now = now.Add(time.Minute)
	if !k.has(at, digest) || k.repositoryOf(at, digest, anyRepository) != "acme/app" {
		t.Error("it is forgotten too soon")
	}
	now = now.Add(time.Second)
	if k.has(at, digest) || k.repositoryOf(at, digest, anyRepository) != "" {
		t.Error("it is remembered for too long")
	}
}

// A client that pushes to many repositories does not make others forget theirs.
func TestARepositoryIsKnownOfEachClient(t *testing.T) {
	k := newPresence(time.Now, 1000, time.Hour)
	digest := digestOf(t, "shared")
	in := func(repository string) address { return address{"r.test", repository} }
	known := func(wanted string) bool {
		return k.repositoryOf(in("other"), digest, func(repository string) bool { return repository == wanted }) == wanted
	}
	k.add(in("team"), digest, "team")
	for n := range 10 * maxSightings {
		k.add(in(fmt.Sprintf("ci/app-%d", n)), digest, "ci")
	}
	if !known("team") || !known(fmt.Sprintf("ci/app-%d", 10*maxSightings-1)) {
		t.Error("the last repository of each client is not known")
	}
	k.forget(in("team"), digest)
	if known("team") || k.repositoryOf(in("other"), digest, anyRepository) == "" {
		t.Error("not one repository was forgotten")
	}
	for n := range 10 * maxSightings {
		k.add(in(fmt.Sprintf("app-%d", n)), digest, fmt.Sprintf("client-%d", n))
	}
	if seen := len(k.get(in("other").anywhere(digest))); seen != maxSightings {
		t.Errorf("%d repositories are known, want %d at most", seen, maxSightings)
	}
}
